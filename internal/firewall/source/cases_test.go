package source

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Rule sets in the style of the vendors' documentation, each with packets
// below it and the verdict that the vendor's words give them, worked out by
// hand: "[chain=A] [in=X] [out=Y] [state=S] PROTO SRC DST => VERDICT".
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rules, questions, _ := strings.Cut(string(data), "\n=====\n")
			src, err := Read(strings.NewReader(rules+"\n"), "case", Auto)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			for line := range strings.Lines(questions) {
				line, _, _ = strings.Cut(line, "#")
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				asked++
				ask(t, src.Rules, line)
			}
			if asked == 0 {
				t.Error("nothing was asked")
			}
		})
	}
}

func ask(t *testing.T, set *ruleset.RuleSet, line string) {
	t.Helper()
	question, want, _ := strings.Cut(line, "=>")
	p, chain, err := packetOf(question)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	d, err := set.Query(p, chain)
	if want = strings.TrimSpace(want); err != nil || d.Verdict != want {
		t.Errorf("%s: %+v %v", line, d, err)
	}
}

var protoNumbers = map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58}

// packetOf reads a packet and the chain that is asked.
func packetOf(text string) (p ruleset.Packet, chain string, err error) {
	var plain []string
	for _, word := range strings.Fields(text) {
		key, value, isOption := strings.Cut(word, "=")
		switch {
		case !isOption:
			plain = append(plain, word)
		case key == "chain":
			chain = value
		case key == "in":
			p.In = value
		case key == "out":
			p.Out = value
		case key == "state":
			p.State = value
		default:
			n, e := strconv.ParseUint(value, 10, 8)
			at := map[string]**uint8{"tcp_flags": &p.TCPFlags, "icmp_type": &p.ICMPType, "icmp_code": &p.ICMPCode}[key]
			if at == nil || e != nil {
				return p, "", fmt.Errorf("option %q", word)
			}
			b := uint8(n)
			*at = &b
		}
	}
	if len(plain) != 3 {
		return p, "", fmt.Errorf("%d words", len(plain))
	}
	n, _ := strconv.ParseUint(plain[0], 10, 8)
	if p.Proto = uint8(n); n == 0 {
		p.Proto = protoNumbers[plain[0]]
	}
	if p.Src, p.SrcPort, err = endpoint(plain[1]); err == nil {
		p.Dst, p.DstPort, err = endpoint(plain[2])
	}
	return p, chain, err
}

func endpoint(s string) (netip.Addr, *uint16, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		n := ap.Port()
		return ap.Addr(), &n, nil
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return ip, nil, err
}

// What is found names lines of the file; rules that a dialect implies are no
// findings.
func TestFindingsNameLines(t *testing.T) {
	src, err := Read(strings.NewReader("block in all\npass in proto udp to port 53\nblock in proto udp to port 53\n"), "pf.conf", Auto)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range ruleset.Lint(src.Rules, ruleset.LintOptions{}) {
		got = append(got, fmt.Sprint(f.Rule, f.Line, f.By))
	}
	if want := []string{"shadowed2 [3]"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
