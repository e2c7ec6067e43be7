package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// Lines of several firewalls; the addresses are those of RFC 5737 and 3849.
const (
	ufwLine   = "2026-03-01T10:00:01Z gw kernel: [UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.7 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=40000 DPT=22 WINDOW=1024 SYN\n"
	icmpLine  = "2026-03-01T10:00:02Z gw kernel: fw-drop IN=eth0 OUT= SRC=2001:db8::7 DST=2001:db8::1 LEN=64 PROTO=ICMPv6 TYPE=128 CODE=0 ID=1 SEQ=1\n"
	noiseLine = "2026-03-01T10:00:03Z gw kernel: usb 1-1: new high-speed USB device number 2\n"
	denyLine  = "2026-03-01T10:00:04Z asa : %ASA-4-106023: Deny tcp src outside:203.0.113.9/51515 dst inside:192.0.2.10/3389 by access-group \"OUTSIDE-IN\" [0x0, 0x0]\n"
	builtLine = "2026-03-01T10:00:05Z asa : %ASA-6-302013: Built inbound TCP connection 100 for outside:203.0.113.10/51516 (203.0.113.10/51516) to inside:10.0.0.5/443 (192.0.2.10/443)\n"
	vpcLine   = "2 123456789010 eni-1235b8ca123456789 192.0.2.20 198.51.100.20 49152 443 6 20 4249 1772359206 1772359266 ACCEPT OK\n"
	mixedLog  = ufwLine + icmpLine + noiseLine + denyLine + builtLine + vpcLine
)

// The contract's fields, as they stand in a line.
func TestLogsEventsAreTheContractsLines(t *testing.T) {
	out, errs, code := call(t, mixedLog, "logs", "--json", "-")
	want := `{"line":1,"format":"netfilter","time":"2026-03-01T10:00:01.000000000Z","action":"deny","proto":"tcp","src":"198.51.100.7","src_port":40000,"dst":"192.0.2.1","dst_port":22,"in":"eth0","rule":"[UFW BLOCK]"}
{"line":2,"format":"netfilter","time":"2026-03-01T10:00:02.000000000Z","action":"deny","proto":"icmp6","src":"2001:db8::7","dst":"2001:db8::1","icmp_type":128,"icmp_code":0,"in":"eth0","rule":"fw-drop"}
{"line":4,"format":"cisco-asa","time":"2026-03-01T10:00:04.000000000Z","action":"deny","proto":"tcp","src":"203.0.113.9","src_port":51515,"dst":"192.0.2.10","dst_port":3389,"in":"outside","out":"inside","rule":"OUTSIDE-IN"}
{"line":5,"format":"cisco-asa","time":"2026-03-01T10:00:05.000000000Z","action":"permit","proto":"tcp","src":"203.0.113.10","src_port":51516,"dst":"10.0.0.5","dst_port":443,"in":"outside","out":"inside","nat_dst":"192.0.2.10","nat_dst_port":443}
{"line":6,"format":"aws-vpc","time":"2026-03-01T10:00:06.000000000Z","action":"permit","proto":"tcp","src":"192.0.2.20","src_port":49152,"dst":"198.51.100.20","dst_port":443,"packets":20,"bytes":4249}
`
	if d := gocmp.Diff(want, out); d != "" || code != exitDone {
		t.Errorf("exit %d (-want +got):\n%s", code, d)
	}
	if errs != "portreeve: 1 of 6 lines are no firewall event (--unparsed lists them)\n" {
		t.Errorf("stderr: %s", errs)
	}
}

// logKeys are the keys of every line, by line.
func logKeys(t *testing.T, out string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(out) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, m)
	}
	return lines
}

func TestLogsOfSeveralFilesAreNamed(t *testing.T) {
	a, b := write(t, "a.log", ufwLine), write(t, "b.log", noiseLine+denyLine)
	out, _, code := call(t, vpcLine, "logs", "--json", a, b, "-")
	lines := logKeys(t, out)
	if code != exitDone || len(lines) != 3 {
		t.Fatalf("%d\n%s", code, out)
	}
	for i, want := range []struct {
		source string
		line   float64
	}{{a, 1}, {b, 2}, {"standard input", 1}} {
		if lines[i]["source"] != want.source || lines[i]["line"] != want.line {
			t.Errorf("%v, want %v", lines[i], want)
		}
	}
	if out, _, _ := call(t, "", "logs", a, b); !strings.HasPrefix(out, "2 logs: 3 lines, 2 events") {
		t.Error(out)
	}
}

func TestLogsActions(t *testing.T) {
	for action, want := range map[string][]float64{"permit": {5, 6}, "deny": {1, 2, 4}} {
		out, _, _ := call(t, mixedLog, "logs", "--json", "--action", action)
		var got []float64
		for _, l := range logKeys(t, out) {
			got = append(got, l["line"].(float64))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: lines %v, want %v", action, got, want)
		}
		doc := logDoc(t, mixedLog, "--by", "port", "--action", action)
		if doc["events"] != float64(len(want)) || doc[action] != float64(len(want)) {
			t.Errorf("%s: %v", action, doc)
		}
	}
}

func TestLogsFormats(t *testing.T) {
	out, _, code := call(t, "", "logs", "--format", "list")
	if code != exitDone || out != strings.Join(fwlog.Formats(), "\n")+"\n" {
		t.Errorf("%d %s", code, out)
	}
	out, errs, code := call(t, mixedLog, "logs", "--format", "cisco-asa", "--json")
	if lines := logKeys(t, out); code != exitDone || len(lines) != 2 || lines[0]["line"] != 4.0 || !strings.Contains(errs, "4 of 6 lines") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
}

func logDoc(t *testing.T, log string, args ...string) map[string]any {
	t.Helper()
	out, errs, _ := call(t, log, append([]string{"logs", "--json"}, args...)...)
	doc := map[string]any{}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
	}
	return doc
}

// keysOf are an object's keys, or those of a list's first object.
func keysOf(v any) (keys []string) {
	if list, ok := v.([]any); ok {
		v = list[0]
	}
	for k := range v.(map[string]any) {
		keys = append(keys, k)
	}
	return keys
}

func TestLogsSummariesHaveTheirShape(t *testing.T) {
	for by, want := range map[string]string{
		"port":   "ports: proto port service events permit deny sources targets",
		"pair":   "pairs: src dst events permit deny ports",
		"source": "sources: src events permit deny targets ports kind first last",
		"rule":   "rules: rule events permit deny sources targets ports",
		"time":   "times: start seconds events permit deny",
	} {
		doc := logDoc(t, mixedLog, "--by", by)
		name, fields, _ := strings.Cut(want, ": ")
		rows, _ := doc[name].([]any)
		if len(rows) == 0 {
			t.Errorf("--by %s: no %s in %v", by, name, keysOf(doc))
			continue
		}
		for _, f := range strings.Fields(fields) {
			if !slices.Contains(keysOf(rows), f) {
				t.Errorf("--by %s: rows lack %s: %v", by, f, rows[0])
			}
		}
		for _, f := range []string{"schema", "taken", "host", "incomplete", "source", "lines", "unknown", "formats", "events", "permit", "deny"} {
			if _, ok := doc[f]; !ok {
				t.Errorf("--by %s lacks %s", by, f)
			}
		}
		if doc["schema"] != "portreeve.logs/1" || doc["lines"] != 6.0 || doc["unknown"] != 1.0 || doc["events"] != 5.0 || doc["permit"] != 2.0 || doc["deny"] != 3.0 {
			t.Errorf("--by %s: %v", by, doc)
		}
	}
	if _, ok := logDoc(t, mixedLog, "--by", "port")["background"]; ok {
		t.Error("by port nobody looked for noise, yet it is counted")
	}
}

// A row a contract's reader would take: who swept, with ports as ranges.
func TestLogsRowsSayWhatHappened(t *testing.T) {
	var log strings.Builder
	for port := 1; port <= 300; port++ {
		fmt.Fprintf(&log, "2026-03-01T10:%02d:%02dZ gw kernel: [UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.7 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=40000 DPT=%d WINDOW=1024 SYN\n", port/60, port%60, port)
	}
	rows := logDoc(t, log.String(), "--by", "source")["sources"].([]any)
	row := rows[0].(map[string]any)
	for k, want := range map[string]any{"src": "198.51.100.7", "events": 300.0, "deny": 300.0, "targets": 1.0, "kind": "scan", "first": "2026-03-01T10:00:01Z", "last": "2026-03-01T10:05:00Z"} {
		if row[k] != want {
			t.Errorf("%s is %v, want %v", k, row[k], want)
		}
	}
	if d := gocmp.Diff([]any{"1-300"}, row["ports"]); d != "" {
		t.Error(d)
	}
	text, _, _ := call(t, log.String(), "logs")
	if !strings.Contains(text, "198.51.100.7 scan: 300 ports (1-300) on 1 target") {
		t.Error(text)
	}
}

func TestLogsTimeRows(t *testing.T) {
	for width, want := range map[string]int{"1s": 5, "2s": 4, "1m": 1, "24h": 1} {
		doc := logDoc(t, ufwLine+icmpLine+denyLine+builtLine+vpcLine, "--by", "time", "--width", width)
		if rows := doc["times"].([]any); len(rows) != want {
			t.Errorf("--width %s: %v", width, rows)
		}
	}
	out, _, _ := call(t, mixedLog, "logs", "--by", "time", "--width", "1h")
	if !strings.Contains(out, "FROM (1h each)") || !strings.Contains(out, "2026-03-01 10:00:00Z      5      2    3") {
		t.Error(out)
	}
}

func TestLogsUnparsed(t *testing.T) {
	if out, _, code := call(t, mixedLog+"\n\nfoo\n", "logs", "--unparsed"); code != exitDone || out != "3\n9\n" {
		t.Errorf("%d %q", code, out)
	}
	a, b := write(t, "a", "x\n"), write(t, "b", ufwLine+"y\n")
	if out, _, _ := call(t, "", "logs", "--unparsed", a, b); out != a+":1\n"+b+":2\n" {
		t.Errorf("%q", out)
	}
	out, _, _ := call(t, mixedLog, "logs", "--unparsed", "--json")
	lines := logKeys(t, out)
	if len(lines) != 6 || lines[2]["line"] != 3.0 || lines[2]["format"] != "unknown" || len(lines[2]) != 2 {
		t.Error(out)
	}
}

// bz2 is ufwLine; the library only reads bzip2.
const bz2 = "QlpoOTFBWSZTWd2TT3kAABrfgEAQQAN/8h8t3roCzRSAIABqGqn+ppqT01D1DTyQAHqMh6nqEU2ptRoAA0NAZAAXf2SHl9g5x0wjOt0VD3yI9vkgUpmkWuRi2XmEyGh2wkkTRCBxMSA7cBCTKNaZYqY2c5wZsKEDluvUH3oXZ2sZgO6BDdBVF+vE4F1jmY0pa2ppUiv8XckU4UJDdk095A=="

func TestLogsAreReadCompressed(t *testing.T) {
	var gz, zs, x bytes.Buffer
	gw := gzip.NewWriter(&gz)
	_, _ = gw.Write([]byte(ufwLine))
	must(t, gw.Close())
	zw, _ := zstd.NewWriter(&zs)
	_, _ = zw.Write([]byte(ufwLine))
	must(t, zw.Close())
	xw, _ := xz.NewWriter(&x)
	_, _ = xw.Write([]byte(ufwLine))
	must(t, xw.Close())
	bz, err := base64.StdEncoding.DecodeString(bz2)
	must(t, err)
	want, _, _ := call(t, ufwLine, "logs", "--json")
	for name, packed := range map[string]string{"a.gz": gz.String(), "a.zst": zs.String(), "a.xz": x.String(), "a.bz2": string(bz)} {
		for _, args := range [][]string{{write(t, name, packed)}, {"-"}} {
			if out, errs, code := call(t, packed, append([]string{"logs", "--json"}, args...)...); code != exitDone || out != want {
				t.Errorf("%s %v: %d %q %s", name, args, code, out, errs)
			}
		}
	}
}

func TestLogsCutArchiveTellsWhatIsThere(t *testing.T) {
	var gz bytes.Buffer
	gw := gzip.NewWriter(&gz)
	_, _ = gw.Write([]byte(mixedLog + strings.TrimSuffix(ufwLine, "2 WINDOW=1024 SYN\n")))
	must(t, gw.Flush())
	name := write(t, "cut.gz", gz.String())
	out, errs, code := call(t, "", "logs", "--json", name)
	lines := logKeys(t, out)
	if code != exitPartial || len(lines) < 5 || !strings.Contains(errs, "cut.gz: unexpected EOF") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
	if len(lines) == 6 && lines[5]["dst_port"] != nil {
		t.Errorf("a port that was cut off is told: %v", lines[5])
	}
	doc := logDoc(t, "", "--by", "port", name)
	if gaps := doc["incomplete"].([]any); len(gaps) != 1 || gaps[0].(map[string]any)["view"] != "logs" {
		t.Errorf("%v", doc["incomplete"])
	}
}

func TestLogsUnreadable(t *testing.T) {
	good, missing := write(t, "good.log", mixedLog), "/nonexistent/fw.log"
	if out, errs, code := call(t, "", "logs", "--json", missing); code != exitUsage || out != "" || !strings.Contains(errs, missing) {
		t.Errorf("%d %q %s", code, out, errs)
	}
	out, errs, code := call(t, "", "logs", "--json", missing, good, os.TempDir())
	if code != exitPartial || len(logKeys(t, out)) != 5 || !strings.Contains(errs, missing) || !strings.Contains(errs, "is a directory") {
		t.Errorf("%d %q %s", code, out, errs)
	}
	doc := logDoc(t, "", "--by", "rule", missing, good)
	if len(doc["incomplete"].([]any)) != 1 || doc["events"] != 5.0 {
		t.Errorf("%v", doc)
	}
}

func TestLogsWrongUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"--by port, pair, source, rule, time": {"--by", "host"},
		"--format list shows them":            {"--format", "nosuch"},
		"permit or deny":                      {"--action", "drop"},
		"leave --by out":                      {"--unparsed", "--by", "port"},
		"--new tells where following begins":  {"--new"},
		"--duration tells when following":     {"--duration", "1s"},
		"add --by time":                       {"--width", "1h"},
		"below zero":                          {"--by", "time", "--width", "-1h"},
		"unknown time zone":                   {"--zone", "Mars/Base"},
		"203.0.113.0/24":                      {"--own", "nowhere"},
	} {
		if out, errs, code := call(t, mixedLog, append([]string{"logs"}, args...)...); code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %q\n%s", args, code, out, errs)
		}
	}
}

// shown fails where a terminal or an eye would obey what is printed.
func shown(t *testing.T, what, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: no UTF-8", what)
	}
	for _, r := range out {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			t.Errorf("%s: %U raw in %q", what, r, out)
			return
		}
	}
}

func everyView() (out [][]string) {
	for _, by := range []string{"", "port", "pair", "source", "rule", "time"} {
		for _, more := range [][]string{nil, {"--json"}, {"-v"}} {
			args := append([]string{"logs"}, more...)
			if by != "" {
				args = append(args, "--by", by)
			}
			out = append(out, args)
		}
	}
	return append(out, []string{"logs", "--unparsed"}, []string{"logs", "--unparsed", "--json"}, []string{"logs", "--follow"}, []string{"logs", "--follow", "--json"})
}

func TestLogsTextIsNeverObeyed(t *testing.T) {
	hostile := "\x1b[2J\u202eBAD\u200b\x9b31m\xff\x07\u2028"
	log := "2026-03-01T10:00:01Z gw kernel: [" + hostile + " DROP] IN=e" + hostile + " OUT=x" + hostile + " SRC=198.51.100.7 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=40000 DPT=22 WINDOW=1024 SYN\n" +
		"2026-03-01T10:00:04Z asa : %ASA-4-106023: Deny tcp src out" + hostile + ":203.0.113.9/51515 dst inside:192.0.2.10/3389 by access-group \"" + hostile + "\" [0x0, 0x0]\n" + hostile + "\n"
	name := write(t, "x"+"\x1b[1m\u202e.log", log)
	for _, args := range everyView() {
		out, errs, code := call(t, log, args...)
		if code != exitDone {
			t.Errorf("%v: exit %d", args, code)
		}
		shown(t, fmt.Sprint(args), out+errs)
		out, errs, _ = call(t, "", append(slices.DeleteFunc(args, func(a string) bool { return a == "--follow" }), name, name+"x", name)...)
		shown(t, fmt.Sprint(args, " named"), out+errs)
	}
}

func TestLogsOfAnyBytes(t *testing.T) {
	r := rand.NewChaCha8([32]byte{5})
	noise := make([]byte, 1<<20)
	_, _ = r.Read(noise)
	long := strings.Repeat("SRC=192.0.2.1 DST=", 4<<20/18)
	for name, log := range map[string]string{"random": string(noise), "endless": long, "empty": "", "newlines": strings.Repeat("\n", 1<<16), "nul": string(make([]byte, 1<<16))} {
		for _, args := range everyView() {
			out, errs, code := call(t, log, args...)
			if code != exitDone {
				t.Errorf("%s %v: exit %d %s", name, args, code, errs)
			}
			shown(t, name, out+errs)
		}
	}
	out, errs, _ := call(t, ufwLine+long+"\n"+denyLine, "logs", "--json")
	if lines := logKeys(t, out); len(lines) != 2 || lines[1]["line"] != 3.0 || !strings.Contains(errs, "1 of 3 lines") {
		t.Errorf("around an endless line: %s%s", out, errs)
	}
}

// Several cores say what one says, in the same order.
func TestLogsInPartsSayTheSame(t *testing.T) {
	var log strings.Builder
	for i := range 45000 {
		log.WriteString([]string{ufwLine, noiseLine, denyLine, vpcLine}[i%4])
		if i%1000 == 0 {
			fmt.Fprintf(&log, "2026-03-01T10:00:01Z gw kernel: [UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.%d DST=192.0.2.1 LEN=40 PROTO=TCP SPT=40000 DPT=%d WINDOW=1024 SYN\n", i/1000+50, i/1000+1)
		}
	}
	whole := log.String()
	parts, errs1, _ := call(t, whole, "logs", "--json")
	one, errs2, _ := call(t, whole, "logs", "--json", "--follow")
	if parts != one || errs1 != errs2 || len(parts) < 1<<20 {
		t.Errorf("%d and %d bytes\n%s%s", len(parts), len(one), errs1, errs2)
	}
	for _, by := range []string{"port", "pair", "source", "rule", "time"} {
		a, b := logDoc(t, whole, "--by", by), logDoc(t, whole, "--by", by, "--follow")
		delete(a, "taken")
		delete(b, "taken")
		if d := gocmp.Diff(a, b); d != "" {
			t.Errorf("--by %s:\n%s", by, d)
		}
	}
}
