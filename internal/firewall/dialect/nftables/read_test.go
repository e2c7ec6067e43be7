package nftables

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func readFile(t *testing.T, name string) []*Table {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tables, err := Read(f, Facts{})
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// opaque lists the rules that hold something that is not understood.
func opaque(tables []*Table) (out []string) {
	for _, table := range tables {
		for _, ch := range table.Chains {
			for _, r := range ch.Rules {
				if slices.ContainsFunc(r.Steps, isOpaque) {
					out = append(out, r.Text)
				}
			}
		}
	}
	return out
}

func isOpaque(s ruleset.Step) bool {
	switch s := s.(type) {
	case ruleset.Elsewhere:
		return true
	case ruleset.Translate:
		return s.Unknown != ""
	case ruleset.Assign:
		return s.Unknown != ""
	case ruleset.Match:
		return opaqueExpr(s.Expr)
	}
	return false
}

func opaqueExpr(e ruleset.Expr) bool {
	switch e := e.(type) {
	case ruleset.Atom:
		return e.Unknown
	case ruleset.Not:
		return opaqueExpr(e.Expr)
	}
	return false
}

// One rule of every kind that nft 1.0.6 loads into this kernel: all but these
// are understood.
func TestEveryKindOfRule(t *testing.T) {
	got := opaque(readFile(t, "testdata/everything.json"))
	want := strings.Split(strings.TrimSpace(notYetUnderstood), "\n")
	for _, r := range got {
		if !slices.Contains(want, r) {
			t.Errorf("not understood: %s", r)
		}
	}
	for _, r := range want {
		if !slices.Contains(got, r) {
			t.Errorf("now understood, or worded otherwise: %s", r)
		}
	}
}

const notYetUnderstood = `
@nh,128,32 167772161 accept
@ll,0,48 1 accept
socket transparent 1 accept
socket wildcard 0 accept
ct label 1 accept
`

func TestDormantTablesAndDevices(t *testing.T) {
	const doc = `{"nftables":[{"table":{"family":"inet","name":"d"}},
{"chain":{"family":"inet","table":"d","name":"in","type":"filter","hook":"input","prio":0,"policy":"drop"}},
{"table":{"family":"netdev","name":"n"}},
{"chain":{"family":"netdev","table":"n","name":"i","type":"filter","hook":"ingress","prio":0,"policy":"drop"}},
{"chain":{"family":"netdev","table":"n","name":"j","dev":["eth0","eth1"],"type":"filter","hook":"ingress","prio":0,"policy":"drop"}},
{"table":{"family":"bridge","name":"b"}},
{"chain":{"family":"bridge","table":"b","name":"in","type":"filter","hook":"input","prio":0,"policy":"drop"}}]}`
	tables, err := Read(strings.NewReader(doc), Facts{Dormant: map[TableID]bool{{Family: "inet", Name: "d"}: true},
		Devices: map[ChainID][]string{{TableID{"netdev", "n"}, "i"}: {"eth2"}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tables[0].Chains); n != 0 {
		t.Errorf("a dormant table has %d chains", n)
	}
	i, j := tables[1].Chains[0], tables[1].Chains[1]
	if !slices.Equal(i.Devices, []string{"eth2"}) || !slices.Equal(j.Devices, []string{"eth0", "eth1"}) || i.DevicesUnknown {
		t.Errorf("devices %v %v", i, j)
	}
	if n := len(tables[2].Chains); n != 0 {
		t.Errorf("a bridge table has %d chains that routed packets meet", n)
	}
}

func TestNotNftJSON(t *testing.T) {
	for _, s := range []string{"", "{}", "[]", `{"nftables": 1}`, `{"nftables"`} {
		if _, err := Read(strings.NewReader(s), Facts{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
