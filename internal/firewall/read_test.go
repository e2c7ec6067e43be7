package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// fakeKernel is a machine of one interface.
type fakeKernel struct {
	tables []nftables.TableID
	err    error
}

func (k fakeKernel) Tables() (Tables, error) { return Tables{All: k.tables}, k.err }

func (fakeKernel) Network() (Network, error) {
	return Network{Interfaces: map[string][]netip.Addr{"eth0": {netip.MustParseAddr("10.7.0.2"), netip.MustParseAddr("2001:db8::2")}}}, nil
}

func (fakeKernel) Route(netip.Addr) (ruleset.Route, error) { return ruleset.Route{Device: "eth0"}, nil }

// programs answers for commands by their whole line; others do not exist.
type programs map[string]string

func (p programs) run(_ context.Context, name string, args ...string) ([]byte, error) {
	out, ok := p[strings.Join(append([]string{name}, args...), " ")]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	return []byte(out), nil
}

// procWith makes a proc(5) whose files of legacy tables hold names.
func procWith(t *testing.T, names map[string]string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "thread-self", "net")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const denyAll = `{"nftables":[{"table":{"family":"inet","name":"f"}},{"chain":{"family":"inet","table":"f","name":"in","type":"filter","hook":"input","prio":0,"policy":"drop"}}]}`

const compatTable = `{"nftables":[{"table":{"family":"ip","name":"filter"}},
{"chain":{"family":"ip","table":"filter","name":"INPUT","type":"filter","hook":"input","prio":0,"policy":"drop"}},
{"rule":{"family":"ip","table":"filter","chain":"INPUT","handle":4,"expr":[{"xt":{"type":"match","name":"multiport"}},{"accept":null}]}}]}`

const savedFilter = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m multiport --dports 22,80 -j ACCEPT\nCOMMIT\n"

// What Read says when it cannot see everything, and what verdicts follow.
func TestReadSaysWhatItCouldNotSee(t *testing.T) {
	inetF := []nftables.TableID{{Family: "inet", Name: "f"}}
	ipFilter := []nftables.TableID{{Family: "ip", Name: "filter"}}
	for _, c := range []struct {
		name     string
		kernel   fakeKernel
		programs programs
		legacy   map[string]string
		gap      string // "" for none
		want4    exposure.PermitVerdict
		want6    exposure.PermitVerdict
	}{
		{"no rules and no nft program", fakeKernel{}, nil, nil, "", "permit", "permit"},
		{"a kernel without nftables", fakeKernel{err: fmt.Errorf("list: %w", ErrNoNftables)}, nil, nil, "", "permit", "permit"},
		{"no privilege", fakeKernel{err: fmt.Errorf("list: %w", ErrPrivilege)}, nil, nil, "CAP_NET_ADMIN", "unknown", "unknown"},
		{"another system", fakeKernel{err: ErrUnsupported}, nil, nil, "not supported on this system", "unknown", "unknown"},
		{"nft shows it", fakeKernel{tables: inetF}, programs{"nft -j list ruleset": denyAll}, nil, "", "deny", "deny"},
		{"nft is missing", fakeKernel{tables: inetF}, nil, nil, "Debian package nftables", "unknown", "unknown"},
		{"nft prints nonsense", fakeKernel{tables: inetF}, programs{"nft -j list ruleset": "{"}, nil, "not understood", "unknown", "unknown"},
		{"nft is missing, iptables-nft is not", fakeKernel{tables: ipFilter}, programs{"iptables-nft-save -t filter": savedFilter}, nil, "", "permit", "permit"},
		{"extensions shown by iptables", fakeKernel{tables: ipFilter}, programs{"nft -j list ruleset": compatTable, "iptables-nft-save -t filter": savedFilter}, nil, "", "permit", "permit"},
		{"extensions shown by plain iptables-save", fakeKernel{tables: ipFilter},
			programs{"nft -j list ruleset": compatTable, "iptables-save -V": "iptables-save v1.8.9 (nf_tables)", "iptables-save -t filter": savedFilter}, nil, "", "permit", "permit"},
		{"extensions shown by nobody", fakeKernel{tables: ipFilter}, programs{"nft -j list ruleset": compatTable}, nil, "whose arguments nft does not show", "unknown", "permit"},
		{"a legacy table", fakeKernel{}, programs{"iptables-legacy-save -t filter": savedFilter}, map[string]string{"ip_tables_names": "filter\n"}, "", "permit", "permit"},
		{"a legacy table and no tool", fakeKernel{}, nil, map[string]string{"ip6_tables_names": "filter\n"}, "the legacy ip6tables table filter exists", "permit", "unknown"},
		{"a legacy table and the wrong tool", fakeKernel{}, programs{"iptables-save -V": "iptables-save v1.8.9 (nf_tables)"}, map[string]string{"ip_tables_names": "filter\n"}, "Debian package iptables", "unknown", "permit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, gaps := Read(t.Context(), Options{Run: c.programs.run, Proc: procWith(t, c.legacy), Kernel: c.kernel})
			if said := fmt.Sprint(gaps); c.gap == "" && len(gaps) > 0 || !strings.Contains(said, c.gap) {
				t.Errorf("gaps %v, want %q", gaps, c.gap)
			}
			for addr, want := range map[string]exposure.PermitVerdict{"10.7.0.2": c.want4, "2001:db8::2": c.want6} {
				if got := w.Ask(exposure.TCP, netip.MustParseAddr(addr), 22); got.Verdict != want {
					t.Errorf("%s: %+v, want %s", addr, got, want)
				}
			}
		})
	}
}

// Rules that name IP sets: shown by ipset, or said to be missing.
func TestReadAsksForIPSets(t *testing.T) {
	const rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m set --match-set good src -m tcp --dport 22 -j ACCEPT\n-A INPUT -m set --match-set doors dst,dst -j ACCEPT\nCOMMIT\n"
	const sets = "create good hash:net family inet hashsize 1024 maxelem 65536\nadd good 10.0.0.0/8\nadd good 10.1.0.0/16 nomatch\n" +
		"create doors hash:ip,port family inet\nadd doors 10.7.0.2,tcp:80\nadd doors 10.7.0.2,udp:53\ncreate all list:set size 8\nadd all good\n"
	legacy := map[string]string{"ip_tables_names": "filter\n"}
	p := programs{"iptables-legacy-save -t filter": rules}
	dst := netip.MustParseAddr("10.7.0.2")
	w, gaps := Read(t.Context(), Options{Run: p.run, Proc: procWith(t, legacy), Kernel: fakeKernel{}})
	if got := w.Ask(exposure.TCP, dst, 22); got.Verdict != exposure.UnknownPermit || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "ipset") {
		t.Errorf("without ipset: %+v %v", got, gaps)
	}
	p["ipset save"] = sets
	w, gaps = Read(t.Context(), Options{Run: p.run, Proc: procWith(t, legacy), Kernel: fakeKernel{}})
	if len(gaps) > 0 {
		t.Error(gaps)
	}
	for port, want := range map[uint16]exposure.PermitVerdict{22: exposure.Partial, 80: exposure.Permitted, 53: exposure.Denied} {
		if got := w.Ask(exposure.TCP, dst, port); got.Verdict != want {
			t.Errorf("port %d: %+v, want %s", port, got, want)
		}
	}
	if got := w.Ask(exposure.TCP, dst, 22); !strings.Contains(got.Why, "10.0.0.0-10.0.255.255") && !strings.Contains(got.Why, "10.0.0.0/16") {
		t.Errorf("the exception of the set is lost: %s", got.Why)
	}
}

// A listener on every address is asked for at each.
func TestAskAnyMergesAddresses(t *testing.T) {
	w := caseWall(t, "kube-nft.json")
	got := w.AskAny(exposure.TCP, true, true, 30081)
	if got.Verdict != exposure.Partial || !strings.Contains(got.Why, "deny at 10.7.0.2") {
		t.Errorf("%+v", got)
	}
	if got := w.AskAny(exposure.TCP, false, true, 30081); got.Verdict != exposure.Permitted || !got.ByDefault {
		t.Errorf("IPv6 only: %+v", got)
	}
	if got := w.Ask(exposure.TCP, netip.IPv4Unspecified(), 22); got.Verdict != exposure.Permitted {
		t.Errorf("unspecified: %+v", got)
	}
}

func TestPublishedPorts(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"docker.save", "tcp 0.0.0.0 8080-8080 172.17.0.2:80 local; tcp 127.0.0.1 5432-5432 172.17.0.3:5432; udp 0.0.0.0 6000-6010 172.17.0.2:6000 local"},
		{"firewalld.json", "tcp invalid IP 2222-2222 invalid IP:22; tcp 0.0.0.0 8443-8443 192.168.122.10:443"},
		{"kube-iptables.save", "tcp 0.0.0.0 30080-30080 10.244.1.5:8080 local; tcp 0.0.0.0 30080-30080 10.244.2.7:8080 local"},
		{"kube-nft.json", "tcp 10.7.0.2 30080-30080 10.244.1.5:8080 local; tcp 10.7.0.2 30080-30080 10.244.2.7:8080 local; udp 10.7.0.2 30053-30053 10.244.2.8:53 local"},
		{"ufw.save", ""},
	} {
		var got []string
		for _, p := range caseWall(t, c.file).Published() {
			s := fmt.Sprintf("%s %s %d-%d %s:%d", p.Proto, p.Addr, p.First, p.Last, p.Target.Addr, p.Target.Port)
			if p.OnlyLocal {
				s += " only"
			}
			if p.Local {
				s += " local"
			}
			got = append(got, s)
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.file, text, c.want)
		}
	}
}

func TestPermitRulesNamePorts(t *testing.T) {
	var got []string
	for _, r := range caseWall(t, "ufw.save").PermitRules() {
		got = append(got, fmt.Sprintf("%s %s %d-%d", r.Proto, r.Addr, r.First, r.Last))
	}
	want := "tcp 0.0.0.0 22-22; tcp 0.0.0.0 80-80; tcp 0.0.0.0 443-443; tcp 0.0.0.0 5432-5432; tcp 0.0.0.0 9100-9100; " +
		"udp 0.0.0.0 68-68; udp 224.0.0.251 5353-5353; udp 239.255.255.250 1900-1900; udp 0.0.0.0 60000-61000"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestEvidenceTellsFilesApart(t *testing.T) {
	for text, want := range map[string]string{
		savedFilter: "unknown", // IPv6 was not given
		denyAll:     "deny",
		"# Generated by ip6tables-save\n" + savedFilter: "permit",
	} {
		w, _, err := Evidence(nil, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Ask(exposure.TCP, netip.MustParseAddr("2001:db8::2"), 22); string(got.Verdict) != want {
			t.Errorf("%q: %+v, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "hello", "{}", `{"nftables": 5}`, "*filter"[1:]} {
		if _, _, err := Evidence(nil, strings.NewReader(text)); !errors.Is(err, ErrEvidence) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
