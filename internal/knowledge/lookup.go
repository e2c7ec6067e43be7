package knowledge

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// commLength is how much of a process name Linux keeps: TASK_COMM_LEN of
// <linux/sched.h>, without the final zero byte.
const commLength = 15

// adviceIndex is the unpacked advice table. Nothing in it changes.
type adviceIndex struct {
	all       []*Advice // by id
	names     map[string]*Advice
	processes map[string][]*Advice
	claims    []claim
}

// claim is one port range that a service claims.
type claim struct {
	PortRange
	also   bool
	advice *Advice
}

func indexAdvice(all []*Advice) *adviceIndex {
	x := &adviceIndex{all: all, names: map[string]*Advice{}, processes: map[string][]*Advice{}}
	for _, a := range all {
		x.add(a)
	}
	for _, a := range all { // after all proper names, so that they win
		for _, n := range a.Registered {
			if _, taken := x.names[fold(n)]; !taken {
				x.names[fold(n)] = a
			}
		}
	}
	slices.SortStableFunc(x.claims, func(a, b claim) int {
		if a.also != b.also {
			if a.also {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Width(), b.Width())
	})
	return x
}

func (x *adviceIndex) add(a *Advice) {
	x.names[fold(a.ID)] = a
	for _, n := range a.Names {
		x.names[fold(n)] = a
	}
	for _, p := range a.Processes {
		x.addProcess(fold(p), a)
		if len(p) > commLength {
			x.addProcess(fold(p[:commLength]), a)
		}
	}
	for _, r := range a.Ports {
		x.claims = append(x.claims, claim{r, false, a})
	}
	for _, r := range a.Also {
		x.claims = append(x.claims, claim{r, true, a})
	}
}

func (x *adviceIndex) addProcess(name string, a *Advice) {
	if !slices.Contains(x.processes[name], a) {
		x.processes[name] = append(x.processes[name], a)
	}
}

// All gives every advice, by id. The values must not be changed.
func (b *Book) All() []*Advice { return slices.Clone(b.advice().all) }

// Candidates are the services that claim a port: the one that owns it first
// (if one does), then those that are met there too, the narrowest range first.
func (b *Book) Candidates(p exposure.Proto, port uint16) []*Advice {
	list, _ := b.candidates(p, port)
	return list
}

// candidates also says whether the first one owns the port.
func (b *Book) candidates(p exposure.Proto, port uint16) (list []*Advice, owned bool) {
	if p == exposure.UDPLite {
		p = exposure.UDP
	}
	for _, c := range b.advice().claims {
		if c.Contains(p, port) && !slices.Contains(list, c.advice) {
			owned = owned || !c.also
			list = append(list, c.advice)
		}
	}
	return list, owned
}

// Advice is the advice for the service that owns a port, with the others that
// are met there in Others; nil where no service owns it (Candidates may still
// know who is met there).
func (b *Book) Advice(p exposure.Proto, port uint16) *Advice {
	list, owned := b.candidates(p, port)
	if !owned {
		return nil
	}
	return choose(list, list[0])
}

// AdviceAt is the advice that fits best at a port when something is known of
// what is really there. Hints are names of protocols or processes, the most
// telling first. A candidate of the port that a hint names wins; then any
// service that a hint names beyond doubt; then the owner of the port. Others
// holds the port's other candidates.
func (b *Book) AdviceAt(p exposure.Proto, port uint16, hints ...string) *Advice {
	list, owned := b.candidates(p, port)
	for _, h := range hints {
		for _, a := range list {
			if a.goesBy(h) {
				return choose(list, a)
			}
		}
	}
	for _, h := range hints {
		if a := b.AdviceFor(h); a != nil {
			return choose(list, a)
		}
	}
	if !owned {
		return nil
	}
	return choose(list, list[0])
}

// AdviceFor is the advice for a service by its id, alias or registry name, or
// by the name of a process that serves it and nothing else of the table; nil
// if none. Paths, ".exe" and case do not matter, nor that Linux cuts process
// names at 15 bytes.
func (b *Book) AdviceFor(name string) *Advice {
	x := b.advice()
	key := fold(name)
	if a := x.names[key]; a != nil {
		return a
	}
	if list := x.processes[key]; len(list) == 1 {
		return list[0]
	}
	return nil
}

// goesBy reports whether a name is one of the service's names or processes.
func (a *Advice) goesBy(name string) bool {
	key := fold(name)
	if key == "" {
		return false
	}
	same := func(n string) bool {
		n = fold(n)
		return n == key || len(key) == commLength && strings.HasPrefix(n, key)
	}
	return fold(a.ID) == key || slices.ContainsFunc(a.Names, func(n string) bool { return fold(n) == key }) ||
		slices.ContainsFunc(a.Processes, same)
}

// choose copies an advice and notes the port's other candidates.
func choose(list []*Advice, a *Advice) *Advice {
	c := *a
	c.Others = nil
	for _, o := range list {
		if o != a {
			c.Others = append(c.Others, o.ID)
		}
	}
	return &c
}

// fold brings a name into the form that is compared: lower case, no folder,
// no ".exe", nothing after a space or colon (process titles).
func fold(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if i := strings.IndexAny(name, " :"); i > 0 && !strings.HasPrefix(name[i:], ":\\") {
		name = name[:i]
	}
	if strings.ContainsAny(name, `/\`) {
		name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	}
	return strings.TrimSuffix(name, ".exe")
}
