package windows

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits/permitstest"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// What is written is read back with the meaning of the file.
func TestRenderReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := permitstest.File(t)
		var b bytes.Buffer
		notes, err := Render(&b, f, RenderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text := b.String()
		set, problems, err := Read(&b, Options{})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %v\n%s", err, problems, text)
		}
		set.Prepare()
		sctp := slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "protocol 132") })
		for range 10 {
			p := permitstest.Packet(t)
			if p.Proto == 132 && sctp {
				continue // left out, as the note says
			}
			want, err := permitstest.Verdict(f, p, func(r *rulefile.Resolved) bool { return r.Action == rulefile.Permit && r.In != "" })
			if err != nil {
				t.Fatal(err)
			}
			d, err := set.Query(permitstest.Query(p), "inbound")
			if err != nil {
				t.Fatal(err)
			}
			if (d.Verdict == ruleset.PermitPacket) != want || d.Verdict == ruleset.UnknownPacket {
				t.Fatalf("%+v, the file says %v: %s\n%s", d, want, permitstest.Show(p), text)
			}
		}
	})
}

// Whatever the names are, every line is one command whose strings end where
// they should: our own reader finds the names unchanged.
func TestRenderQuotes(t *testing.T) {
	for _, name := range []string{`a'; Remove-Item C:\ -Recurse #`, "‘; calc ’", "`$(calc)", `"; calc`, "a\r\nRemove-Item x", "a\u2028b"} {
		f := &rulefile.File{Name: name, Rules: []rulefile.Rule{{Name: name, Comment: name, Action: "permit", Proto: "tcp", Ports: []string{"22"}}}}
		var b bytes.Buffer
		if _, err := Render(&b, f, RenderOptions{}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") && !slices.Contains([]string{"New-NetFirewallRule", "Remove-NetFirewallRule", "Set-NetFirewallProfile"}, f[0]) {
				t.Errorf("a line that is no command of ours: %q", line)
			}
		}
		r := &reader{}
		r.script(b.String())
		if len(r.rules) != 1 || len(r.problems.All()) > 0 || straight(r.rules[0].name) != straight(oneLine(name)) || straight(r.rules[0].comment) != straight(oneLine(name)) {
			t.Errorf("%q: %+v %v", name, r.rules, r.problems.All())
		}
	}
}

// straight makes one quote of those that PowerShell takes for one.
func straight(s string) string {
	return strings.TrimSpace(strings.NewReplacer("‘", "'", "’", "'", "‚", "'", "‛", "'").Replace(s))
}
