package pf

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

const fixtures = "../../../../../shared/fixtures/rulesets/"

func read(t *testing.T, text string) *ruleset.RuleSet {
	t.Helper()
	set, problems, err := Read(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	set.Prepare()
	return set
}

// packet reads "in em0 tcp 192.0.2.1:1024 198.51.100.1:80 [state]"; "out em0".
func packet(t *testing.T, s string) ruleset.Packet {
	t.Helper()
	f := strings.Fields(s)
	p := ruleset.Packet{Proto: map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "any": 0}[f[2]]}
	for _, part := range strings.Split(f[0], "+") {
		if part == "in" {
			p.In = strings.Split(f[1], "+")[0]
		} else {
			p.Out = strings.Split(f[1], "+")[strings.Count(f[1], "+")]
		}
	}
	src, dst := netip.MustParseAddrPort(f[3]), netip.MustParseAddrPort(f[4])
	p.Src, p.Dst = src.Addr(), dst.Addr()
	sp, dp := src.Port(), dst.Port()
	if p.Proto == 6 || p.Proto == 17 {
		p.SrcPort, p.DstPort = &sp, &dp
	} else {
		kind := uint8(dp)
		p.ICMPType = &kind
	}
	if len(f) > 5 {
		p.State = f[5]
	}
	return p
}

func verdicts(t *testing.T, text string, want map[string]string) {
	t.Helper()
	set := read(t, text)
	for s, v := range want {
		d, err := set.Query(packet(t, s), "")
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if d.Verdict != v {
			t.Errorf("%s: %s (%s line %d: %s), want %s\n%s", s, d.Verdict, d.Rule, d.Line, d.Why, v, text)
		}
	}
}

// The example of a small office that pf.conf(5) and the handbooks build up.
func TestOffice(t *testing.T) {
	verdicts(t, `
ext_if = "em0"
int_if = "em1"
tcp_services = "{ ssh, smtp, 8000:8010 }"
martians = "{ 127.0.0.0/8, 192.168.0.0/16, 10/8 }"
table <brutes> persist { 203.0.113.0/24, !203.0.113.7 }

set skip on lo
set block-policy return
block in all
block in quick on $ext_if from $martians to any
block in quick from <bad> to any
pass in on $ext_if inet proto tcp to any port $tcp_services keep state
pass in on $ext_if inet proto icmp icmp-type echoreq
pass in on $int_if from 192.168.1.0/24 to any
block in on $int_if proto tcp to any port { 25, >= 60000, 100 >< 103 }
pass out on $ext_if proto { tcp udp icmp } all modulate state
pass in log quick on $int_if proto udp \
    from 192.168.1.5 port != 53 to any port domain
table <bad> { 203.0.113.0/24, !203.0.113.7 }
`, map[string]string{
		"in em0 tcp 198.51.100.9:1024 192.0.2.1:22":            "permit",
		"in em0 tcp 198.51.100.9:1024 192.0.2.1:8005":          "permit",
		"in em0 tcp 198.51.100.9:1024 192.0.2.1:8011":          "deny",
		"in em0 tcp 10.1.2.3:1024 192.0.2.1:22":                "deny",
		"in em0 icmp 198.51.100.9:0 192.0.2.1:8":               "permit",
		"in em0 icmp 198.51.100.9:0 192.0.2.1:5":               "deny",
		"in em0 tcp [2001:db8::1]:1024 [2001:db8::2]:22":       "deny",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:443":         "permit",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:25":          "deny",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:60000":       "deny",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:59999":       "permit",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:100":         "permit",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:101":         "deny",
		"in em1 tcp 192.168.1.7:1024 198.51.100.1:103":         "permit",
		"in lo0 tcp 127.0.0.1:1024 127.0.0.1:5432":             "permit",
		"out em0 tcp 192.0.2.1:1024 198.51.100.1:443":          "permit",
		"in+out em1+em0 tcp 192.168.1.7:1024 198.51.100.1:443": "permit",
		"in em0 tcp 203.0.113.9:1024 192.0.2.1:22":             "deny",
		"in em0 tcp 203.0.113.7:1024 192.0.2.1:22":             "permit",
		"in em0 tcp 203.0.113.9:1024 192.0.2.1:22 established": "permit",
		"in em0 udp 198.51.100.9:1024 192.0.2.1:53":            "deny",
		"in em1 udp 192.168.1.5:1024 198.51.100.1:53":          "permit",
	})
}

func TestLastFitDecidesUnlessQuick(t *testing.T) {
	verdicts(t, `
pass all
block proto tcp to any port 80
pass quick from 192.0.2.1
block quick proto tcp to any port 22
pass proto tcp to any port 80 flags any no state
anchor "web" on em0 {
	block proto tcp from 198.51.100.0/24 to any port 80
	anchor in proto tcp {
		pass quick to any port 81
	}
}
anchor quick proto udp {
	block to any port 53
	pass from 192.0.2.9 to any port 53
}
block in proto udp to any port 53
block in proto tcp to any port 81
`, map[string]string{
		"in em0 tcp 192.0.2.1:1024 192.0.2.2:22":    "permit",
		"in em0 tcp 192.0.2.3:1024 192.0.2.2:22":    "deny",
		"in em0 tcp 192.0.2.3:1024 192.0.2.2:80":    "permit",
		"in em0 tcp 198.51.100.3:1024 192.0.2.2:80": "deny",
		"in em1 tcp 198.51.100.3:1024 192.0.2.2:80": "permit",
		"in em0 tcp 192.0.2.3:1024 192.0.2.2:81":    "permit",
		"in em1 tcp 192.0.2.3:1024 192.0.2.2:81":    "deny",
		"in em0 udp 192.0.2.9:1024 192.0.2.2:53":    "permit",
		"in em0 udp 192.0.2.8:1024 192.0.2.2:53":    "deny",
	})
}

func TestWhatAFileDoesNotTellIsUnknown(t *testing.T) {
	verdicts(t, `
block all
pass in on em0 proto tcp to (em0) port 22
pass in on em0 proto tcp to port 23 user root
table <f> persist file "/etc/f"
pass in proto tcp from <f> to any port 24
anchor "named"  on em9
`, map[string]string{
		"in em0 tcp 192.0.2.1:1024 192.0.2.2:22": "unknown",
		"in em0 tcp 192.0.2.1:1024 192.0.2.2:23": "unknown",
		"in em0 tcp 192.0.2.1:1024 192.0.2.2:24": "unknown",
		"in em0 tcp 192.0.2.1:1024 192.0.2.2:25": "deny",
		"in em9 tcp 192.0.2.1:1024 192.0.2.2:25": "unknown",
		"in em1 tcp 192.0.2.1:1024 192.0.2.2:22": "deny",
	})
}

func TestTranslation(t *testing.T) {
	verdicts(t, `
rdr on em0 inet proto tcp from any to 192.0.2.1 port 80 -> 10.0.0.5 port 8080
no rdr on em0 proto tcp from 203.0.113.1 to any port 81
rdr pass on em0 proto tcp from any to 192.0.2.1 port 81 -> 10.0.0.6
nat on em0 from 10.0.0.0/8 to any -> (em0)
block in all
pass in on em0 proto tcp to 10.0.0.5 port 8080
`, map[string]string{
		"in em0 tcp 198.51.100.1:1024 192.0.2.1:80": "permit",
		"in em0 tcp 198.51.100.1:1024 192.0.2.1:82": "deny",
		"in em0 tcp 198.51.100.1:1024 192.0.2.1:81": "permit",
		"in em0 tcp 203.0.113.1:1024 192.0.2.1:81":  "deny",
	})
}

func TestInterfacesThatAreGiven(t *testing.T) {
	text := "block all\nantispoof quick for em0\npass in on em0 to em0:network\n"
	o := Options{Interfaces: map[string][]netip.Prefix{"em0": {netip.MustParsePrefix("192.0.2.1/24")}}}
	set, problems, err := Read(strings.NewReader(text), o)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	set.Prepare()
	for s, want := range map[string]string{
		"in em0 udp 198.51.100.1:9 192.0.2.7:9": "permit",
		"in em0 udp 192.0.2.1:9 192.0.2.7:9":    "deny",
		"in em0 udp 192.0.2.2:9 192.0.2.7:9":    "permit",
		"in em1 udp 192.0.2.2:9 192.0.2.7:9":    "deny",
		"in em0 udp 198.51.100.1:9 192.1.2.7:9": "deny",
	} {
		if d, err := set.Query(packet(t, s), ""); err != nil || d.Verdict != want {
			t.Errorf("%s: %+v %v, want %s", s, d, err, want)
		}
	}
}

func TestProblemsHaveAPlace(t *testing.T) {
	_, problems, err := Read(strings.NewReader("pass in all\nblock on em0 proto nosuch\npass in from $x to any\n  pass sideways\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"line 2, column 20: no protocol", "line 3, column 14: the macro", `line 4, column 8: "sideways"`}
	if len(problems) != len(want) {
		t.Fatal(problems)
	}
	for i, p := range problems {
		if !strings.HasPrefix(p.String(), want[i]) {
			t.Errorf("%s, want %s", p, want[i])
		}
	}
	for _, bad := range []string{"", "hello\nworld\n", "pass in \"all\nblock", "anchor x {\npass\n", "\x00"} {
		if _, _, err := Read(strings.NewReader(bad), Options{}); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// What Aerleon renders is understood.
func TestAerleon(t *testing.T) {
	files, _ := filepath.Glob(fixtures + "aerleon/tests/regression/packetfilter/*")
	if len(files) == 0 {
		t.Skip("the fixtures are not here")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, problems, err := Read(strings.NewReader(string(data)), Options{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
		}
		for _, p := range problems {
			t.Errorf("%s: %v", filepath.Base(f), p)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a = \"{ 1, 2 }\"\npass in quick on em0 proto { tcp udp } from <t> to ! 10/8 port $a flags S/SA keep state (max 5)\n")
	f.Add("anchor \"x\" in on em0 {\n pass rdr-to 192.0.2.1 port 80:*\n}\nantispoof for { em0 lo }\n")
	f.Add("rdr pass on em0 proto tcp from any to any port 80 -> { 192.0.2.1, 192.0.2.2 } port 8080 round-robin\nset skip on { lo, ! em1 }\n")
	f.Add("block return-icmp(3, 4) in log (all) proto icmp all icmp-type { echoreq code 0, 3 }\n")
	f.Fuzz(func(t *testing.T, s string) {
		set, _, err := Read(strings.NewReader(s), Options{})
		if err == nil {
			set.Prepare()
		}
	})
}
