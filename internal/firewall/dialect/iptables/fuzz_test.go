package iptables

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Whatever the bytes: no panic, and every rule line is a rule or a problem.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("../../testdata/cases/*.save")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("*filter\n-A INPUT -p tcp --dport ! 22 -m set --match-set a src,dst -j DNAT --to-destination [::1]:80-90/8080\nCOMMIT\n"))
	f.Add([]byte("*nat\n:A - [0:0]\n-A A -j A\n-A PREROUTING -g A\n-I PREROUTING 1 -m recent --hitcount x -j NETMAP --to 10.0.0.0/24\n"))
	f.Add([]byte("*filter\n-A INPUT \"a\n-P INPUT DROP\n-N x\n*mangle\n-A x -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tables, _, err := Read(bytes.NewReader(data), Options{Families: ruleset.IPv4, Title: "iptables"})
		if err != nil {
			return
		}
		set := &ruleset.RuleSet{}
		for _, table := range tables {
			set.Chains = append(set.Chains, table.Chains...)
		}
		set.Prepare()
	})
}

func FuzzReadSets(f *testing.F) {
	f.Add([]byte("create a hash:ip,port family inet\nadd a 10.0.0.1,tcp:80\nadd a 10.0.0.2,udp:1-5 nomatch timeout 5\n"))
	f.Add([]byte("create l list:set size 8\nadd l l\ncreate m hash:mac\nadd m 00:11:22:33:44:55\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sets, _, err := ReadSets(bytes.NewReader(data))
		if err != nil {
			return
		}
		for name := range sets {
			rules := "*filter\n-A INPUT -m set --match-set " + name + " src,dst -j ACCEPT\nCOMMIT\n"
			_, _, _ = Read(bytes.NewReader([]byte(rules)), Options{Families: ruleset.IPv4, Sets: sets})
		}
	})
}
