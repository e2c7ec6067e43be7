package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/knowledge/registry"
)

// widestOwned is the widest range that a service may own: wider ones (NodePort,
// dynamic RPC) can only be met there "also".
const widestOwned = 64

// check tells every way in which the table is unsound.
func check(all []*knowledge.Advice, table *registry.Table) []string {
	c := &checker{table: table, names: map[string]string{}, owners: map[string]string{}}
	c.kinds, c.protocols = words(knowledge.Kinds()), words(knowledge.Protocols())
	for _, a := range all {
		c.entry(a)
	}
	return c.problems
}

type checker struct {
	table     *registry.Table
	kinds     []string
	protocols []string
	names     map[string]string // name → id of the entry that has it
	owners    map[string]string // single port → id of the entry that owns it
	problems  []string
}

func (c *checker) fail(a *knowledge.Advice, format string, args ...any) {
	c.problems = append(c.problems, a.ID+": "+fmt.Sprintf(format, args...))
}

func (c *checker) entry(a *knowledge.Advice) {
	c.identity(a)
	c.ports(a)
	c.words(a)
	c.texts(a)
	c.closing(a)
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9+./_*-]*$`)

// interpreters are executables whose name says nothing of what they serve.
var interpreters = []string{
	"java", "python", "python3", "node", "ruby", "perl", "php", "bash", "sh", "busybox",
	"systemd", "init", "svchost", "system", "deno", "bun", "electron", "docker-proxy",
}

func (c *checker) identity(a *knowledge.Advice) {
	for _, n := range append([]string{a.ID}, a.Names...) {
		if !nameForm.MatchString(n) {
			c.fail(a, "%q: names are lower case, without spaces", n)
		}
		if other, taken := c.names[n]; taken {
			c.fail(a, "the name %q is also that of %s", n, other)
		}
		c.names[n] = a.ID
	}
	for _, p := range a.Processes {
		if slices.Contains(interpreters, p) || p != strings.ToLower(p) {
			c.fail(a, "process %q: lower case, and nothing that runs anybody's program", p)
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(a.Processes)))) != len(a.Processes) {
		c.fail(a, "a process is named twice")
	}
}

func (c *checker) ports(a *knowledge.Advice) {
	if len(a.Ports)+len(a.Also)+len(a.RPC) == 0 {
		c.fail(a, "neither a port nor an RPC program")
	}
	registered := map[string]bool{}
	for _, r := range a.Ports {
		if r.Width() > widestOwned {
			c.fail(a, "%s is too wide to be owned: put it under also", r)
			continue
		}
		for p := int(r.First); p <= int(r.Last); p++ {
			c.own(a, r.Proto, uint16(p), registered)
		}
	}
	for _, r := range a.Also {
		if slices.ContainsFunc(a.Ports, func(o knowledge.PortRange) bool { return o.Contains(r.Proto, r.First) && r.Last <= o.Last }) {
			c.fail(a, "also: %s is its own port already", r)
		}
	}
	for _, n := range a.Registered {
		if !registered[n] {
			c.fail(a, "registered: no port of it is %q in the registry", n)
		}
	}
}

func (c *checker) own(a *knowledge.Advice, p exposure.Proto, port uint16, registered map[string]bool) {
	at := fmt.Sprintf("%s/%d", p, port)
	if port == 0 {
		c.fail(a, "port 0 is no port")
	}
	if other, taken := c.owners[at]; taken {
		c.fail(a, "%s is owned by %s: put it under also in one of them", at, other)
	}
	c.owners[at] = a.ID
	t, _ := registry.ParseTransport(string(p))
	e, _ := c.table.Find(t, port)
	ok := len(e.Names) == 0
	for _, n := range e.Names {
		n = strings.ToLower(n)
		if n == a.ID || slices.Contains(a.Names, n) {
			ok = true
		}
		if slices.Contains(a.Registered, n) {
			ok, registered[n] = true, true
		}
	}
	if !ok {
		c.fail(a, "%s is %q in the registry: add it to names if it is this service, to registered if not", at, strings.ToLower(e.Name()))
	}
}

func (c *checker) words(a *knowledge.Advice) {
	if len(a.Kinds) == 0 {
		c.fail(a, "no kind")
	}
	for _, k := range a.Kinds {
		if !slices.Contains(c.kinds, string(k)) {
			c.fail(a, "unknown kind %q", k)
		}
	}
	for _, s := range a.Speaks {
		if !slices.Contains(c.protocols, s) {
			c.fail(a, "unknown protocol %q", s)
		}
	}
	if r := a.Exposed.Rank(); r < exposure.Low.Rank() {
		c.fail(a, "exposed is %q, not high, medium or low", a.Exposed)
	}
	if a.Protected != (a.ProtectedWhy != "") {
		c.fail(a, "protected and protected_why go together")
	}
}

func (c *checker) texts(a *knowledge.Advice) {
	c.sentence(a, "what", a.What)
	c.sentence(a, "who", a.Who)
	c.sentence(a, "breaks", a.Breaks)
	for field, list := range map[string][]string{"safe": a.Safe, "unsafe": a.Unsafe} {
		if len(list) == 0 {
			c.fail(a, "%s is empty", field)
		}
		for _, s := range list {
			c.sentence(a, field, s)
		}
	}
	for _, s := range a.Close.Other {
		c.sentence(a, "close.other", s)
	}
}

// sentence wants plain text of some length that ends as a sentence does.
func (c *checker) sentence(a *knowledge.Advice, field, s string) {
	switch {
	case len(s) < 15:
		c.fail(a, "%s: %q says too little", field, s)
	case len(s) > 400:
		c.fail(a, "%s: longer than 400 bytes", field)
	case strings.TrimSpace(s) != s || strings.ContainsAny(s, "\n\t") || strings.Contains(s, "  "):
		c.fail(a, "%s: %q has stray blanks", field, s)
	case !strings.HasSuffix(s, "."):
		c.fail(a, "%s: %q does not end with a full stop", field, s)
	}
}

func words(terms []knowledge.Term) []string {
	var out []string
	for _, t := range terms {
		out = append(out, t.Name)
	}
	return out
}
