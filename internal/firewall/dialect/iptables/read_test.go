package iptables

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func read(t *testing.T, text string) ([]*Table, []Problem) {
	t.Helper()
	tables, problems, err := Read(strings.NewReader(text), Options{Families: ruleset.IPv4, Title: "iptables"})
	if err != nil {
		t.Fatal(err)
	}
	return tables, problems
}

// steps writes a rule's steps as Go has them, for comparison.
func steps(t *testing.T, args string) string {
	t.Helper()
	tables, problems := read(t, "*filter\n:x - [0:0]\n-A INPUT "+args+"\nCOMMIT\n")
	if len(problems) > 0 {
		t.Errorf("%s: %v", args, problems)
	}
	for _, ch := range tables[0].Chains {
		if ch.Name == "INPUT" {
			return fmt.Sprintf("%+v", ch.Rules[0].Steps)
		}
	}
	return ""
}

// Different ways to write the same rule.
func TestSameRuleOtherWords(t *testing.T) {
	for _, same := range [][]string{
		{"-p tcp -m tcp --dport 22 -j ACCEPT", "-p tcp --dport 22 -j ACCEPT", "--protocol tcp --destination-port 22 --jump ACCEPT", "-p 6 -m tcp --dport 22 -j ACCEPT"},
		{"! -s 10.0.0.0/8 -j DROP", "-s ! 10.0.0.0/8 -j DROP", "! --source 10.0.0.0/255.0.0.0 -j DROP", "! --src 10.1.2.3/8 -j DROP"},
		{"-p tcp ! --dport 22 -j DROP", "-p tcp --dport ! 22 -j DROP"},
		{"-p tcp --syn -j DROP", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"},
		{"-m conntrack --ctstate NEW -j ACCEPT", "-m state --state NEW -j ACCEPT"},
		{"-m conntrack --ctstate NEW -p tcp --dport 22 -j ACCEPT", "-m conntrack --ctstate NEW -p tcp -m tcp --dport 22 -j ACCEPT"},
		{"-m mark --mark 0x10 -j DROP", "-m mark --mark 16/0xffffffff -j DROP"},
		{"-p tcp -m multiport --dports 22,80 -j ACCEPT", "-p tcp -m multiport --destination-ports 80,22 -j ACCEPT"},
		{"-j MARK --set-xmark 0x1/0xffffffff", "-j MARK --set-mark 1"},
		{`-m comment --comment "a \"b\" -j DROP" -j ACCEPT`, `-m comment --comment 'a "b" -j DROP' -j ACCEPT`, "-j ACCEPT"},
		{"-i eth+ -g x", "--in-interface eth+ --goto x"},
	} {
		want := steps(t, same[0])
		for _, other := range same[1:] {
			if got := steps(t, other); got != want && !strings.Contains(want, "0x") {
				t.Errorf("%s:\n%s\n%s:\n%s", same[0], want, other, got)
			}
		}
	}
}

// Lines that cannot be read are named, and their rules may do anything.
func TestBrokenLinesAreNamed(t *testing.T) {
	tables, problems := read(t, `-A INPUT -j DROP
*filter
:INPUT ACCEPT [0:0]
[5:300] -A INPUT -s 10.0.0.0/99 -j DROP
-A INPUT -p tcp --dport ssh -j ACCEPT
-A INPUT "unclosed
-A INPUT -j NOSUCH
-A INPUT -m nosuch --thing 5 -j ACCEPT
-A INPUT -x -j DROP
nonsense
COMMIT
`)
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if got := fmt.Sprint(lines); got != "[1 6 10 4 5 7 9]" {
		t.Errorf("problems at lines %s: %v", got, problems)
	}
	ch := tables[0].Chains[0]
	if len(ch.Rules) != 6 {
		t.Fatalf("%d rules", len(ch.Rules))
	}
	for i, r := range ch.Rules {
		if i == 4 { // an unknown match is a condition; the rest is understood
			continue
		}
		last := r.Steps[len(r.Steps)-1]
		if e, ok := last.(ruleset.Elsewhere); !ok || !e.MayContinue {
			t.Errorf("line %d: %+v", r.Line, r.Steps)
		}
	}
}

func TestServiceNamesNeedAResolver(t *testing.T) {
	o := Options{Families: ruleset.IPv4, Port: func(proto, name string) (uint16, bool) { return 22, proto == "tcp" && name == "ssh" }}
	_, problems, err := Read(strings.NewReader("*filter\n-A INPUT -p tcp --dport ssh -j ACCEPT\n-A INPUT -p udp --dport ssh -j ACCEPT\nCOMMIT\n"), o)
	if err != nil || len(problems) != 1 || problems[0].Line != 3 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestNoTables(t *testing.T) {
	if _, _, err := Read(strings.NewReader("hello\n"), Options{}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}
