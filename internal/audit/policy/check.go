package policy

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Names of the things that Check finds.
const (
	RuleNeverMatches = "never-matches" // nothing can ever be what the entry says
	RuleExpired      = "expired"       // the entry's last day has passed
	RuleExpiresSoon  = "expires-soon"
	RuleConflict     = "conflict"     // base and roles, or two roles, say different things of a port
	RuleCovered      = "covered"      // an earlier entry lets pass all that this one does
	RuleTodo         = "todo"         // a reason that nobody filled in
	RuleNoReason     = "no-reason"    // an entry without a reason
	RuleTooWide      = "too-wide"     // says so little that it hides more than it tells
	RuleUnknownPort  = "unknown-port" // a port that the registry does not know
)

// Problem is one thing about a policy that a person should look at. Line and
// Column are 1-based, 0 where the place is not known.
type Problem struct {
	Rule         string
	Severity     exposure.Severity
	Line, Column int
	Entry        string // as: expect 22/tcp, role web
	What         string // what is the matter
	Hint         string // what to do about it; may be ""
}

// CheckOptions say what to hold a policy against.
type CheckOptions struct {
	At   time.Time     // the day on which expiry is judged
	Soon time.Duration // how far ahead expiry is told
	// Name is the registry's word on a port, "" for an unknown one; nil: the
	// registry is not asked.
	Name func(exposure.Proto, uint16) string
}

// Check looks for what Parse cannot refuse: entries that say nothing, that
// hold no more, that contradict each other. The result is in the order of the
// file. It takes the whole file with its roles as well as what For made.
func (p *Policy) Check(o CheckOptions) []Problem {
	c := &checker{p: p, o: o}
	c.list(p.Expect)
	c.protected(p.Protected)
	c.operators()
	c.hosts()
	c.covered(p.Expect)
	c.conflicts(p.Expect)
	for i := range p.Roles {
		alone := p.ForRoles(p.Roles[i].Name)
		own := alone.Expect[len(p.Expect):]
		c.list(own)
		c.protected(alone.Protected[len(p.Protected):])
		c.covered(own)
		c.conflicts(alone.Expect)
	}
	c.sameHosts()
	slices.SortStableFunc(c.found, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return slices.Compact(c.found)
}

type checker struct {
	p     *Policy
	o     CheckOptions
	found []Problem
}

func (c *checker) add(e *Expect, rule string, sev exposure.Severity, hint, format string, args ...any) {
	c.found = append(c.found, Problem{Rule: rule, Severity: sev, Line: e.Port.Line, Column: e.Port.Column,
		Entry: entryName("expect", e.Port, e.Role), What: fmt.Sprintf(format, args...), Hint: hint})
}

func entryName(list string, port PortRange, role string) string {
	name := list + " " + port.String()
	if role != "" {
		name += ", role " + role
	}
	return name
}

// list looks at each entry by itself.
func (c *checker) list(entries []Expect) {
	for i := range entries {
		e := &entries[i]
		c.reason(e.Reason, entryName("expect", e.Port, e.Role), e.Port)
		c.expiry(e)
		if why, hint := e.impossible(); why != "" {
			c.add(e, RuleNeverMatches, exposure.Medium, hint, "%s", why)
		}
		if n := int(e.Port.Last) - int(e.Port.First) + 1; n >= wideRange && bare(e.Process) && bare(e.Unit) {
			c.add(e, RuleTooWide, exposure.Medium, "name the process or the unit, or fewer ports", "%d ports are expected of whatever program opens them", n)
		}
		c.port(e)
	}
}

// wideRange is how many ports of anybody's are more than a person can mean.
const wideRange = 1000

// bare reports a pattern that every name matches.
func bare(glob string) bool { return strings.Trim(glob, "*") == "" }

func (c *checker) reason(reason, entry string, port PortRange) {
	problem := Problem{Severity: exposure.Low, Line: port.Line, Column: port.Column, Entry: entry}
	text := strings.TrimSpace(reason)
	switch {
	case text == "":
		problem.Rule, problem.What, problem.Hint = RuleNoReason, "no reason is given", "add reason: why it is open, for whom"
	case strings.HasPrefix(strings.ToUpper(text), "TODO"):
		problem.Rule, problem.What, problem.Hint = RuleTodo, "the reason is still to be filled in", "write why it is open, and for whom"
	default:
		return
	}
	c.found = append(c.found, problem)
}

func (c *checker) expiry(e *Expect) {
	if e.Expires.IsZero() {
		return
	}
	day, left := e.Expires.Format(time.DateOnly), e.Expires.AddDate(0, 0, 1).Sub(c.o.At)
	switch {
	case e.Expired(c.o.At):
		c.add(e, RuleExpired, exposure.Medium, "take it out, or give it a new day", "it ended on %s (%s)", day, reasonOf(e))
	case left <= c.o.Soon:
		c.add(e, RuleExpiresSoon, exposure.Low, "renew it, or close what it allows by then", "it ends on %s (%s)", day, reasonOf(e))
	}
}

func reasonOf(e *Expect) string { return cmp.Or(e.Reason, "no reason given") }

// longestName is the length of a process name as the kernel keeps it
// (TASK_COMM_LEN of linux/sched.h, without the closing zero).
const longestName = 15

// impossible says why no socket can ever be what the entry says.
func (e *Expect) impossible() (why, hint string) {
	literal := !strings.ContainsAny(e.Process, `*?[\`)
	switch {
	case literal && len(e.Process) > longestName:
		return fmt.Sprintf("process names have at most %d bytes, and %q has %d", longestName, e.Process, len(e.Process)),
			fmt.Sprintf("write process: %q", e.Process[:longestName])
	case strings.Contains(e.Process, "/"):
		return fmt.Sprintf("%q looks like a path; processes are known by their name", e.Process), "write process: " + path.Base(e.Process)
	case e.Unit != "" && !strings.Contains(e.Unit, ".") && !strings.HasSuffix(e.Unit, "*"):
		return fmt.Sprintf("units end in .service, .socket or the like, and %q does not", e.Unit), "write unit: " + e.Unit + ".service"
	case e.Scope == "loopback" && len(e.Peers) > 0 && !slices.ContainsFunc(e.Peers, func(p Prefix) bool { return p.Addr().IsLoopback() || p.Bits() == 0 }):
		return "peers on other machines never reach what is bound to loopback", "take the peers or the scope out"
	}
	return "", ""
}

// port tells ports without a name, except those that the kernel chooses.
func (c *checker) port(e *Expect) {
	const firstDynamic = 49152 // RFC 6335, section 6
	if c.o.Name == nil || e.Port.First != e.Port.Last || e.Port.First >= firstDynamic || e.Process != "" || e.Unit != "" {
		return
	}
	if c.o.Name(e.Port.Proto, e.Port.First) == "" {
		c.add(e, RuleUnknownPort, exposure.Info, "name the process or the unit that serves it", "the registry has no service for %s", e.Port)
	}
}

func (c *checker) protected(list []Protect) {
	for i := range list {
		c.reason(list[i].Reason, entryName("protected", list[i].Port, list[i].Role), list[i].Port)
	}
}

func (c *checker) operators() {
	for _, o := range c.p.Operators {
		if o.From.Bits() == 0 {
			c.found = append(c.found, Problem{Rule: RuleTooWide, Severity: exposure.Medium, Line: o.From.Line, Entry: "operators " + o.From.String(),
				What: "no rule set may cut off anybody at all", Hint: "name the networks that you administer from"})
		}
	}
	for _, w := range c.p.Owned {
		if i := slices.IndexFunc(c.p.NeverScan, func(n Network) bool { return n.Bits() <= w.Bits() && n.Contains(w.Addr()) }); i >= 0 {
			c.found = append(c.found, Problem{Rule: RuleNeverMatches, Severity: exposure.Low, Line: w.Line, Entry: "owned " + w.String(),
				What: fmt.Sprintf("never-scan: %s (line %d) forbids all of it", c.p.NeverScan[i].Prefix, c.p.NeverScan[i].Line)})
		}
	}
}

// hosts looks at groups and at who has the roles.
func (c *checker) hosts() {
	used := map[string]bool{}
	for i := range c.p.Roles {
		for _, h := range c.p.Roles[i].Hosts {
			c.nearGroup(&c.p.Roles[i], &h, used)
		}
	}
	for _, g := range c.p.Groups {
		if !used[g.Name] {
			c.found = append(c.found, Problem{Rule: RuleNeverMatches, Severity: exposure.Low, Line: g.Line, Column: g.Column, Entry: "group " + g.Name, What: "no role names the group"})
		}
		for _, h := range g.Hosts {
			if c.p.Groups.find(h.Text) != nil {
				c.found = append(c.found, Problem{Rule: RuleConflict, Severity: exposure.Medium, Line: h.Line, Column: h.Column, Entry: "group " + g.Name,
					What: fmt.Sprintf("%q is read as a host name: groups do not hold groups", h.Text), Hint: "name both groups under the role's hosts"})
			}
		}
	}
}

func (c *checker) nearGroup(r *Role, h *HostPattern, used map[string]bool) {
	for _, g := range c.p.Groups {
		switch {
		case g.Name == h.Text:
			used[g.Name] = true
			return
		case strings.EqualFold(g.Name, h.Text):
			c.found = append(c.found, Problem{Rule: RuleConflict, Severity: exposure.Medium, Line: h.Line, Column: h.Column, Entry: "role " + r.Name,
				What: fmt.Sprintf("%q is read as a host name, and there is a group %q", h.Text, g.Name), Hint: "write the group's name as it stands under groups"})
		}
	}
}
