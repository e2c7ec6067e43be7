package cli

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const captures = "../../../shared/fixtures/captures/"

// Captures of a few conversations each: plain, in tunnels, over IPv6.
func someCaptures(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"http-basicauth", "stun-ice-testcall", "gre-erspan-vxlan", "dns-caa", "tftp_rrq", "mpls-basic"} {
		path := captures + "arkime/" + name + ".pcap"
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	return out
}

// flowTold is a line of --by flow --json.
type flowTold struct {
	Proto, Client, Server string
	ClientPort            int      `json:"client_port"`
	ServerPort            int      `json:"server_port"`
	PTo                   uint64   `json:"packets_to_server"`
	PFrom                 uint64   `json:"packets_to_client"`
	BTo                   uint64   `json:"bytes_to_server"`
	BFrom                 uint64   `json:"bytes_to_client"`
	OrientedBy            string   `json:"oriented_by"`
	Tunnels               []string `json:"tunnels"`
}

type portLine struct {
	Proto       string `json:"proto"`
	Port        int    `json:"port"`
	Service     string `json:"service"`
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
	PacketsTo   uint64 `json:"packets_to"`
	PacketsFrom uint64 `json:"packets_from"`
	BytesTo     uint64 `json:"bytes_to"`
	BytesFrom   uint64 `json:"bytes_from"`
	Clients     int    `json:"clients"`
	Servers     int    `json:"servers"`
}

type trafficTold struct {
	Schema     string            `json:"schema"`
	Host       string            `json:"host"`
	Incomplete []json.RawMessage `json:"incomplete"`
	Ports      []portLine        `json:"ports"`
	Pairs      []struct {
		Client, Server string
		Ports          []string
		Packets, Bytes uint64
	} `json:"pairs"`
	Notes   []string `json:"notes"`
	Quality struct {
		Packets, Dropped, Truncated, Undecoded, Fragments, Other uint64
		OneSided                                                 uint64 `json:"one_sided_flows"`
	} `json:"quality"`
}

// told runs the command in this process; it must end well.
func told(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, errs, code := call(t, stdin, append([]string{"traffic"}, args...)...)
	if code != exitDone {
		t.Fatalf("%v: exit %d\n%s", args, code, errs)
	}
	return out
}

func trafficDoc(t *testing.T, text string) trafficTold {
	t.Helper()
	var d trafficTold
	if err := json.Unmarshal([]byte(text), &d); err != nil || d.Schema != "portreeve.traffic/1" {
		t.Fatalf("%v\n%s", err, text)
	}
	return d
}

func linesAs[T any](t *testing.T, text string) []T {
	t.Helper()
	var out []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, v)
	}
	return out
}

// byHand sums flows by port, naively.
func byHand(flows []flowTold) []portLine {
	type key struct {
		proto string
		port  int
	}
	rows, clients, servers := map[key]*portLine{}, map[string]bool{}, map[string]bool{}
	for _, f := range flows {
		k := key{f.Proto, f.ServerPort}
		if rows[k] == nil {
			rows[k] = &portLine{Proto: f.Proto, Port: f.ServerPort}
		}
		r := rows[k]
		r.PacketsTo, r.PacketsFrom, r.BytesTo, r.BytesFrom = r.PacketsTo+f.PTo, r.PacketsFrom+f.PFrom, r.BytesTo+f.BTo, r.BytesFrom+f.BFrom
		r.Packets, r.Bytes = r.PacketsTo+r.PacketsFrom, r.BytesTo+r.BytesFrom
		if c := fmt.Sprint(k, f.Client); !clients[c] {
			clients[c] = true
			r.Clients++
		}
		if s := fmt.Sprint(k, f.Server); !servers[s] {
			servers[s] = true
			r.Servers++
		}
	}
	var out []portLine
	for _, r := range rows {
		out = append(out, *r)
	}
	return sortPorts(out)
}

func sortPorts(rows []portLine) []portLine {
	slices.SortFunc(rows, func(a, b portLine) int { return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port)) })
	return rows
}

// The same capture told by packet, by flow, by port and by pair adds up; text
// has the rows of the JSON.
func TestTrafficWaysAddUp(t *testing.T) {
	for _, file := range someCaptures(t) {
		packets := linesAs[map[string]any](t, told(t, "", "-r", file, "--by", "packet", "--json"))
		flows := linesAs[flowTold](t, told(t, "", "-r", file, "--by", "flow", "--json"))
		doc := trafficDoc(t, told(t, "", "-r", file, "--json"))
		for i := range doc.Ports {
			doc.Ports[i].Service = ""
		}
		if d := gocmp.Diff(byHand(flows), sortPorts(doc.Ports)); d != "" {
			t.Errorf("%s (-flows +ports):\n%s", file, d)
		}
		if doc.Quality.Packets != uint64(len(packets)) || len(packets) == 0 || len(flows) == 0 || len(doc.Incomplete) != 0 {
			t.Errorf("%s: %d packets, %d flows, %+v", file, len(packets), len(flows), doc.Quality)
		}
		pairs, sum := trafficDoc(t, told(t, "", "-r", file, "--by", "pair", "--json")).Pairs, uint64(0)
		for _, p := range pairs {
			sum += p.Packets
		}
		counted := uint64(0)
		for _, f := range flows {
			counted += f.PTo + f.PFrom
		}
		if sum != counted {
			t.Errorf("%s: %d packets by pair, %d by flow", file, sum, counted)
		}
		if n := strings.Count(told(t, "", "-r", file, "--by", "packet"), "\n"); n != len(packets) {
			t.Errorf("%s: %d lines of text for %d packets", file, n, len(packets))
		}
		if n := strings.Count(told(t, "", "-r", file, "--by", "flow"), "\n"); n != len(flows)+1 {
			t.Errorf("%s: %d lines of text for %d flows", file, n, len(flows))
		}
		text := told(t, "", "-r", file, "-v")
		for _, p := range doc.Ports {
			if row := fmt.Sprintf("\n%d/%s ", p.Port, p.Proto); p.Port != 0 && !strings.HasPrefix(p.Proto, "icmp") && !strings.Contains(text, row) {
				t.Errorf("%s lacks %q:\n%s", file, row, text)
			}
		}
	}
}

// Filters select before anything is counted, --count ends after so many
// selected ones, and a filter that cannot match is no mistake.
func TestTrafficSelects(t *testing.T) {
	file := captures + "arkime/stun-ice-testcall.pcap"
	all := linesAs[map[string]any](t, told(t, "", "-r", file, "--by", "packet", "--json"))
	udp := 0
	for _, p := range all {
		if p["proto"] == "udp" {
			udp++
		}
	}
	doc := trafficDoc(t, told(t, "", "-r", file, "--json", "udp"))
	if doc.Quality.Packets != uint64(udp) || udp < 10 {
		t.Errorf("%d packets, %d are udp", doc.Quality.Packets, udp)
	}
	for _, n := range []int{1, 7, udp, udp + 5} {
		if got := strings.Count(told(t, "", "-r", file, "--by", "packet", "-c", fmt.Sprint(n), "udp"), "\n"); got != min(n, udp) {
			t.Errorf("--count %d: %d packets", n, got)
		}
	}
	if doc := trafficDoc(t, told(t, "", "-r", file, "--json", "udp", "and", "tcp")); doc.Quality.Packets != 0 || doc.Ports == nil {
		t.Errorf("%+v", doc)
	}
}

// A refused filter: exit 2, the place marked, nothing on stdout, no file made.
func TestTrafficRefusedFilter(t *testing.T) {
	file, made := captures+"arkime/dns-caa.pcap", filepath.Join(t.TempDir(), "out.pcap")
	for _, c := range []struct{ filter, want string }{
		{"port http or prot 80", "^"}, {"tcp port 70000", "^"}, {"(udp", "^"}, {"ip[0:3] = 1", "^"}, {"host 10.0.0.999", "^"}, {"nonsense", "^"},
	} {
		for _, more := range [][]string{nil, {"--json"}, {"--by", "packet"}, {"-w", made}} {
			out, errs, code := call(t, "", append(append([]string{"traffic", "-r", file}, more...), c.filter)...)
			if code != exitUsage || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "filter") {
				t.Errorf("%q %v: exit %d, stdout %q, stderr\n%s", c.filter, more, code, out, errs)
			}
		}
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("a file was made")
	}
}

// A capture that ends inside a packet: everything before it, exit 3, and the
// JSON says so. What is no capture: exit 2 and nothing on stdout.
func TestTrafficDamagedFiles(t *testing.T) {
	whole, err := os.ReadFile(captures + "arkime/dns-caa.pcap")
	must(t, err)
	n := strings.Count(told(t, string(whole), "-r", "-", "--by", "packet"), "\n")
	cut := write(t, "cut.pcap", string(whole[:len(whole)-5]))
	for _, by := range []string{byPort, byPair, byFlow, byPacket} {
		out, errs, code := call(t, "", "traffic", "-r", cut, "--by", by, "--json")
		if code != exitPartial || out == "" || !strings.Contains(errs, "cut off") {
			t.Errorf("%s: exit %d\n%s\n%s", by, code, errs, out)
		}
		switch by {
		case byPort, byPair:
			if d := trafficDoc(t, out); d.Quality.Packets != uint64(n-1) || len(d.Incomplete) != 1 {
				t.Errorf("%s", out)
			}
		case byPacket:
			if strings.Count(out, "\n") != n-1 {
				t.Errorf("%s", out)
			}
		}
	}
	for _, text := range []string{"", "x", "this is no capture at all, but a text\n", "\xff\xfe\x00\x00"} {
		out, errs, code := call(t, "", "traffic", "-r", write(t, "no.pcap", text))
		if code == exitDone || out != "" || errs == "" || text != "" && len(text) > 1 && code != exitUsage {
			t.Errorf("%q: exit %d, stdout %q, stderr %s", text, code, out, errs)
		}
	}
	if out, errs, code := call(t, "", "traffic", "-r", "/nonexistent.pcap"); code != exitUsage || out != "" || !strings.Contains(errs, "/nonexistent.pcap") {
		t.Errorf("exit %d %s", code, errs)
	}
}

// Standard input and compressed files are read as they are.
func TestTrafficStandardInputAndCompressed(t *testing.T) {
	name := captures + "arkime/http-basicauth.pcap"
	raw, err := os.ReadFile(name)
	must(t, err)
	want := told(t, "", "-r", name, "--by", "packet")
	for how, pack := range map[string]func() string{
		"plain": func() string { return string(raw) },
		"gzip": func() string {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(raw)
			must(t, w.Close())
			return b.String()
		},
		"zstd": func() string {
			w, err := zstd.NewWriter(nil)
			must(t, err)
			return string(w.EncodeAll(raw, nil))
		},
		"xz": func() string {
			var b bytes.Buffer
			w, err := xz.NewWriter(&b)
			must(t, err)
			_, _ = w.Write(raw)
			must(t, w.Close())
			return b.String()
		},
	} {
		packed := pack()
		if got := told(t, packed, "-r", "-", "--by", "packet"); got != want {
			t.Errorf("%s from standard input differs", how)
		}
		if got := told(t, "", "-r", write(t, "capture", packed), "--by", "packet"); got != want {
			t.Errorf("%s from a file differs", how)
		}
	}
}

// What is written is what was selected: read back it tells the same, to a
// file and to stdout.
func TestTrafficWriteAndReadBack(t *testing.T) {
	for _, file := range someCaptures(t) {
		out := filepath.Join(t.TempDir(), "out.pcap")
		want := told(t, "", "-r", file, "-w", out, "--by", "packet", "--json", "udp")
		if back := told(t, "", "-r", out, "--by", "packet", "--json"); back != want {
			t.Errorf("%s: written\n%s\nread back\n%s", file, want, back)
		}
		piped := told(t, "", "-r", file, "-w", "-", "udp")
		if back := told(t, piped, "-r", "-", "--by", "packet", "--json"); back != want {
			t.Errorf("%s: through a pipe it differs", file)
		}
	}
	if out, errs, code := call(t, "", "traffic", "-r", someCaptures(t)[0], "-w", "/nonexistent/x.pcap"); code != exitUsage || out != "" || !strings.Contains(errs, "/nonexistent/x.pcap") {
		t.Errorf("exit %d %s", code, errs)
	}
}

// --tunnels inner tells who talks inside, outer who carries it.
func TestTrafficTunnels(t *testing.T) {
	file := captures + "arkime/gre-erspan-vxlan.pcap"
	inner := linesAs[flowTold](t, told(t, "", "-r", file, "--by", "flow", "--json"))
	outer := linesAs[flowTold](t, told(t, "", "-r", file, "--by", "flow", "--json", "--tunnels", "outer"))
	if !slices.ContainsFunc(inner, func(f flowTold) bool { return len(f.Tunnels) > 0 }) {
		t.Errorf("no flow inside: %v", inner)
	}
	for _, f := range outer {
		if len(f.Tunnels) > 0 || f.Proto != "47" && f.ServerPort != 4789 && f.ClientPort != 4789 {
			t.Errorf("outside: %+v", f)
		}
	}
	if len(outer) == 0 {
		t.Error("nothing outside")
	}
}

// Who listens turns round a flow whose beginning is not in the capture.
func TestTrafficListeners(t *testing.T) {
	file := captures + "arkime/stun-ice-testcall.pcap"
	flows := linesAs[flowTold](t, told(t, "", "-r", file, "--by", "flow", "--json"))
	i := slices.IndexFunc(flows, func(f flowTold) bool { return f.Proto == "udp" && f.OrientedBy == "first-packet" })
	if i < 0 {
		t.Fatalf("no flow to turn round: %+v", flows)
	}
	f := flows[i]
	client := netip.MustParseAddr(f.Client)
	doc := fmt.Sprintf(`{"schema":"portreeve.host/1","sockets":[{"proto":"udp","state":"unconnected","addr":%q,"port":%d}]}`, client, f.ClientPort)
	turned := linesAs[flowTold](t, told(t, "", "-r", file, "--by", "flow", "--json", "--listeners", write(t, "host.json", doc)))
	j := slices.IndexFunc(turned, func(g flowTold) bool {
		return g.Server == f.Client && g.ServerPort == f.ClientPort && g.Client == f.Server
	})
	if j < 0 || turned[j].OrientedBy != "listener" || turned[j].PFrom != f.PTo {
		t.Errorf("%+v was not turned round: %+v", f, turned)
	}
	for _, bad := range []string{"", "no json", `{"schema":"portreeve.scan/1"}`} {
		if out, errs, code := call(t, "", "traffic", "-r", file, "--listeners", write(t, "bad.json", bad)); code != exitUsage || out != "" || !strings.Contains(errs, "portreeve host --json") {
			t.Errorf("%q: exit %d %s", bad, code, errs)
		}
	}
}

// Flags that contradict each other are told before anything is opened.
func TestTrafficFlagsAreChecked(t *testing.T) {
	file := someCaptures(t)[0]
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-r", file, "--by", "moon"}, "port, pair"},
		{[]string{"-r", file, "--tunnels", "both"}, "inner or outer"},
		{[]string{"-r", file, "--method", "magic"}, "auto, packets or kernel"},
		{[]string{"-r", file, "-i", "lo"}, "both -r and -i"},
		{[]string{"-i", "lo", "--duration", "-1s"}, "negative"},
		{[]string{"-i", "lo", "--duration", "soon"}, "soon"},
		{[]string{"-i", "lo", "--count", "-1"}, "-1"},
		{[]string{"-r", file, "-w", "-", "--json"}, "stdout"},
		{[]string{"-r", file, "--method", "kernel"}, "no packets"},
		{[]string{"-i", "lo", "--method", "kernel", "--by", "flow"}, "no packets"},
		{[]string{"-i", "lo", "--method", "kernel", "--by", "packet"}, "no packets"},
		{[]string{"-i", "lo", "--method", "kernel", "-w", "x"}, "no packets"},
		{[]string{"-i", "lo", "--method", "kernel", "-c", "1"}, "no packets"},
		{[]string{"-i", "lo", "--method", "kernel", "udp"}, "no packets"},
		{[]string{"--json"}, "nothing to read from"},
		{nil, "nothing to read from"},
		{[]string{"check-mirror"}, "no interface"},
		{[]string{"check-mirror", "now"}, "takes no arguments"},
		{[]string{"check-mirror", "-i", "lo", "--duration", "0s"}, "no time"},
		{[]string{"span", "--vendor", "abacus", "--source", "1", "--destination", "2"}, "abacus"},
		{[]string{"span", "--vendor", "cisco-ios", "--source", "Gi1/0/1"}, "destination"},
		{[]string{"span", "--vendor", "cisco-ios", "--destination", "Gi1/0/1"}, "source"},
		{[]string{"span", "--vendor", "cisco-ios", "--source", "Gi1/0/1\nreload", "--destination", "Gi1/0/2"}, "source"},
		{[]string{"span", "--vendor", "cisco-ios", "--source", "Gi1/0/1", "--destination", "Gi1/0/2", "--direction", "up"}, "direction"},
	} {
		out, errs, code := call(t, "", append([]string{"traffic"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") < 2 {
			t.Errorf("%v: exit %d, stdout %q, stderr lacks %q or a hint:\n%s", c.args, code, out, c.want, errs)
		}
	}
}

// span lists the switches it knows and renders each of them.
func TestSpan(t *testing.T) {
	list := told(t, "", "span", "--vendor", "list")
	if told(t, "", "span") != list || strings.Count(list, "\n") < 5 || !strings.Contains(list, "cisco-ios") {
		t.Errorf("%s", list)
	}
	out := told(t, "", "span", "--vendor", "cisco-ios", "--source", "Gi1/0/1", "--source", "Gi1/0/2", "--destination", "Gi1/0/24", "--direction", "RX")
	for _, want := range []string{"Set up:", "Check:", "Undo:", "Gi1/0/1", "Gi1/0/2", "Gi1/0/24", " rx", "check-mirror"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	var doc struct {
		Schema, Vendor     string
		Setup, Check, Undo []string
	}
	out = told(t, "", "span", "--vendor", "cisco-ios", "--source", "Gi1/0/1", "--destination", "Gi1/0/24", "--json")
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Schema != "portreeve.span/1" || doc.Vendor != "cisco-ios" || len(doc.Setup) == 0 || len(doc.Check) == 0 || len(doc.Undo) == 0 {
		t.Errorf("%v %s", err, out)
	}
}

func TestTrafficHelpHasExamples(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"check-mirror", "--help"}, {"span", "--help"}} {
		if out := told(t, "", args...); !strings.Contains(out, "Examples:") || strings.Count(out, "portreeve traffic") < 3 {
			t.Errorf("%v: %s", args, out)
		}
	}
}
