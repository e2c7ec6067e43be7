package policy

import "fmt"

// Segment is a named part of one's network: rules are learned for it as a
// whole where several of its hosts do the same.
type Segment struct {
	Name     string    `yaml:"name"`
	Networks []Network `yaml:"networks"`
}

// Operator is where the people come from who administer the hosts: no rule set
// may cut them off. Without ports it is ssh's.
type Operator struct {
	From   Network     `yaml:"from"`
	Ports  []PortRange `yaml:"ports"`
	Reason string      `yaml:"reason"`
}

func (p *Policy) checkSegments() error {
	seen := map[string]bool{}
	for i, s := range p.Segments {
		switch {
		case s.Name == "" || len(s.Networks) == 0:
			return &Error{What: fmt.Sprintf("segments, entry %d: a name and networks are needed", i+1)}
		case seen[s.Name]:
			return &Error{Line: s.Networks[0].Line, What: fmt.Sprintf("segments: %q is there twice", s.Name)}
		}
		seen[s.Name] = true
		if err := noneEmpty("segments", s.Networks); err != nil {
			return err
		}
	}
	for i, o := range p.Operators {
		if !o.From.IsValid() {
			return &Error{What: fmt.Sprintf("operators, entry %d: `from` is missing", i+1)}
		}
	}
	return nil
}
