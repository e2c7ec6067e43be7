package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/exposure"
	"pgregory.net/rapid"
)

// hostile holds what a process title or a banner may bring.
const hostile = "a\x1b[31mred\x07\x00\u202egnp.exe\u2066\xff\xfe\u0085\u200b\U000e0041é\u2028\t\n"

func TestEscapeLeavesNothingATerminalObeys(t *testing.T) {
	got := Escape(hostile)
	want := `a\x1b[31mred\x07\x00\u202egnp.exe\u2066\xff\xfe\u0085\u200b\ue0041é\u2028\t\n`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add(hostile)
	f.Add(strings.Repeat("\x9b", 10))
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		for _, r := range got {
			if obeyed(r) {
				t.Fatalf("%U survived in %q", r, got)
			}
		}
	})
}

// JSON stays the same value and holds no rune that a terminal obeys.
func TestJSONEscapesControlsAndKeepsTheValue(t *testing.T) {
	var b bytes.Buffer
	in := map[string]string{"title": hostile}
	if err := JSON(&b, in); err != nil {
		t.Fatal(err)
	}
	for _, r := range strings.TrimSpace(b.String()) {
		if r != '\n' && obeyed(r) {
			t.Errorf("%U stands raw in %s", r, b.String())
		}
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(strings.ReplaceAll(hostile, "\xff\xfe", "\ufffd\ufffd"), ""); back["title"] != want {
		t.Errorf("value changed: %q, want %q", back["title"], want)
	}
}

func socketGen(t *rapid.T) exposure.Socket {
	text := rapid.SampledFrom([]string{"", "sshd", hostile, "a\"b\\c", "ünïcode"})
	num := rapid.Uint16()
	addr := rapid.SampledFrom([]exposure.Address{{}, exposure.ParseAddress("0.0.0.0"), exposure.ParseAddress("fe80::1%eth0"), exposure.ParseAddress("::ffff:10.0.0.1"), {Text: "localhost.domain"}})
	s := exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Addr: addr.Draw(t, "addr"), Port: num.Draw(t, "port"),
		PeerAddr: addr.Draw(t, "peer"), PeerPort: num.Draw(t, "pport"), Scope: exposure.ScopeAny, DualStack: rapid.Bool().Draw(t, "dual"),
		Device: text.Draw(t, "dev"), NetNS: exposure.NetNS{ID: "1", Name: text.Draw(t, "ns")}, Unit: text.Draw(t, "unit"),
		Sockets: 2, Inodes: rapid.SliceOfN(rapid.Uint64(), 0, 3).Draw(t, "inodes"), MPTCP: rapid.Bool().Draw(t, "mptcp"),
		Filter: text.Draw(t, "filter"), OwnerUnknown: text.Draw(t, "owner"), UID: 5, SegsIn: rapid.Uint64Max(3).Draw(t, "segs")}
	if rapid.Bool().Draw(t, "uncertain") {
		s.Uncertain = []string{"addr", "peer_port"}
	}
	if rapid.Bool().Draw(t, "contained") {
		s.Container = &exposure.Container{ID: "c", Name: text.Draw(t, "cname"), Runtime: "docker"}
		s.Kernel = &exposure.KernelUser{User: "vxlan", Detail: "vx1", Source: "rtnetlink"}
	}
	for range rapid.IntRange(0, 2).Draw(t, "procs") {
		s.Processes = append(s.Processes, exposure.Process{PID: 7, Name: text.Draw(t, "name"), Cmdline: text.Draw(t, "cmd"), FD: 3,
			Deleted: rapid.Bool().Draw(t, "del"), WritableWhy: text.Draw(t, "why"), WritablePath: text.Draw(t, "wpath"), Unit: text.Draw(t, "punit"), Started: time.Unix(1e9, 5).UTC()})
	}
	return s
}

// The fast writer says what encoding/json says of the same value.
func TestAppendSocketAgreesWithJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := socketGen(t)
		slow, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(slow, &want); err != nil {
			t.Fatal(err)
		}
		fast := AppendSocket(nil, &s)
		if err := json.Unmarshal(fast, &got); err != nil {
			t.Fatalf("%v in %s", err, fast)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-json +fast):\n%s", d)
		}
	})
}

func TestAppendSocketAllocatesNothing(t *testing.T) {
	s := exposure.Socket{Proto: exposure.TCP, State: exposure.Established, Addr: exposure.IPAddress(netip.MustParseAddr("10.0.0.1")), Port: 1,
		Processes: []exposure.Process{{PID: 1, Name: "x", Exe: "/bin/x"}}, Inodes: []uint64{1}}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = AppendSocket(buf[:0], &s) }); n > 0 {
		t.Errorf("%.0f allocations a socket", n)
	}
}

// Tables fit the page: only flexible columns are cut, and a cut shows.
func TestTableFitsThePage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(60, 160).Draw(t, "width")
		owner := rapid.StringOfN(rapid.RuneFrom([]rune("abcé界")), 0, 60, -1).Draw(t, "owner")
		cols := []column{{head: "PORT"}, {head: "OWNER", min: 10}, {head: "VERDICT"}}
		var b bytes.Buffer
		if err := writeTable(&b, Style{Width: width}, cols, [][]string{{"65535/udplite", owner, "expected"}}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if w := runewidth.StringWidth(strings.TrimRight(line, "\n")); w > width {
				t.Fatalf("%d columns on a page of %d: %q", w, width, line)
			}
		}
		if !strings.Contains(b.String(), "65535/udplite") || !strings.Contains(b.String(), "expected") {
			t.Fatalf("a fixed column was cut: %s", b.String())
		}
	})
}

func TestHostTextSeparatesNamespacesAndEscapes(t *testing.T) {
	snap := exposure.Snapshot{Self: exposure.NetNS{ID: "1"}, Sockets: []exposure.Socket{
		{Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.ParseAddress("::"), DualStack: true, Scope: exposure.ScopeAny, Port: 22,
			NetNS: exposure.NetNS{ID: "2", Name: "web"}, Processes: []exposure.Process{{PID: 3, Name: "x\x1b[2J"}, {PID: 4, Name: "x\x1b[2J"}}},
		{Proto: exposure.UDP, State: exposure.Unconnected, Addr: exposure.ParseAddress("127.0.0.1"), Scope: exposure.ScopeLoopback, Port: 53,
			NetNS: exposure.NetNS{ID: "1"}, OwnerUnknown: "no privilege"},
	}}
	var b bytes.Buffer
	if err := HostText(&b, &snap, Style{Width: 80}); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if strings.Contains(out, "\x1b") || !strings.Contains(out, `x\x1b[2J x2`) || !strings.Contains(out, "any 4+6") ||
		strings.Index(out, "this network namespace") > strings.Index(out, "network namespace web") {
		t.Errorf("%s", out)
	}
}
