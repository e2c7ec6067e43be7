package fwlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// readAt is when all logs of the corpora are read.
var readAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestGolden: each folder of testdata is named after a dialect and holds logs
// of it (*.log), with what is expected of each line beside them (*.golden).
func TestGolden(t *testing.T) {
	for _, file := range corpusFiles(t) {
		t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
			got := golden(t, file)
			want := strings.TrimSuffix(file, ".log") + ".golden"
			if *update {
				if err := os.WriteFile(want, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, want, got)
		})
	}
}

// TestGoldenCovers: a dialect without an event in its corpus is not tested.
func TestGoldenCovers(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range corpusFiles(t) {
		p := New(Options{Now: readAt})
		var e Event
		for _, l := range corpusLines(t, file) {
			if p.Read(l, &e) {
				seen[filepath.Base(filepath.Dir(file))+" "+e.Format] = true
			}
		}
	}
	for _, name := range Formats() {
		if !seen[name+" "+name] {
			t.Errorf("testdata/%s has no event of that dialect", name)
		}
	}
}

// TestOnlyOwn: a dialect asked alone declines the lines of the other corpora.
// A file named "shared" in a folder lists dialects that may recognise its
// lines too: "name reason…".
func TestOnlyOwn(t *testing.T) {
	for _, file := range corpusFiles(t) {
		own := filepath.Base(filepath.Dir(file))
		lines := corpusLines(t, file)
		except := sharedWith(t, own)
		for _, name := range Formats() {
			if name == own || except[name] {
				continue
			}
			p, all := New(Options{Now: readAt, Format: name}), New(Options{Now: readAt})
			var e, other Event
			for i, l := range lines {
				is := all.Read(l, &other)
				if p.Read(l, &e) && !(is && other.Format == name) || p.Known() && !is && !all.Known() {
					t.Errorf("%s:%d: taken by %s: %.200q", file, i+1, name, l)
				}
			}
		}
	}
}

func sharedWith(t *testing.T, folder string) map[string]bool {
	names := map[string]bool{}
	b, err := os.ReadFile(filepath.Join("testdata", folder, "shared"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		name, reason, _ := strings.Cut(strings.TrimSpace(l), " ")
		if reason == "" {
			t.Errorf("testdata/%s/shared: %s without a reason", folder, name)
		}
		names[name] = true
	}
	return names
}

func corpusFiles(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*/*.log")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func corpusLines(t testing.TB, file string) [][]byte {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
}

// golden has a line for each event, and one for each line that is none.
func golden(t *testing.T, file string) []byte {
	var out bytes.Buffer
	p := New(Options{Now: readAt})
	var e Event
	for i, l := range corpusLines(t, file) {
		if !p.Read(l, &e) {
			if len(l) > 0 {
				writeOther(&out, i+1, p.Known(), &e)
			}
			continue
		}
		writeEvent(&out, i+1, &e)
		for p.More(&e) {
			writeEvent(&out, i+1, &e)
		}
	}
	return out.Bytes()
}

func writeOther(out *bytes.Buffer, line int, known bool, e *Event) {
	fmt.Fprintf(out, `{"line":%d,`, line)
	if known {
		fmt.Fprint(out, `"known":true`)
	} else {
		fmt.Fprint(out, `"unknown":true`)
	}
	if e.Limited {
		fmt.Fprintf(out, `,"limited":true,"suppressed":%d`, e.Suppressed)
	}
	fmt.Fprint(out, "}\n")
}

func writeEvent(out *bytes.Buffer, line int, e *Event) {
	fmt.Fprintf(out, `{"line":%d,"format":%q`, line, e.Format)
	if e.Time != 0 {
		fmt.Fprintf(out, `,"time":%q`, time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano))
	}
	if e.Action != NoAction {
		fmt.Fprintf(out, `,"action":%q`, e.Action.String())
	}
	if e.HasProto {
		fmt.Fprintf(out, `,"proto":%d`, e.Proto)
	}
	fmt.Fprintf(out, `,"src":%q,"dst":%q`, e.Src, e.Dst)
	if e.HasPorts {
		fmt.Fprintf(out, `,"src_port":%d,"dst_port":%d`, e.SrcPort, e.DstPort)
	}
	if e.HasICMP {
		fmt.Fprintf(out, `,"icmp_type":%d,"icmp_code":%d`, e.ICMPType, e.ICMPCode)
	}
	writeText(out, "in", e.In)
	writeText(out, "out", e.Out)
	writeText(out, "rule", e.Rule)
	writeNAT(out, "nat_src", e.NATSrc, e.NATSrcPort)
	writeNAT(out, "nat_dst", e.NATDst, e.NATDstPort)
	if e.Packets != 0 || e.Bytes != 0 {
		fmt.Fprintf(out, `,"packets":%d,"bytes":%d`, e.Packets, e.Bytes)
	}
	if e.Reversed {
		fmt.Fprint(out, `,"reversed":true`)
	}
	if e.Ends {
		fmt.Fprint(out, `,"ends":true`)
	}
	if e.Limited {
		fmt.Fprintf(out, `,"limited":true,"suppressed":%d`, e.Suppressed)
	}
	if e.Capped {
		fmt.Fprint(out, `,"capped":true`)
	}
	fmt.Fprint(out, "}\n")
}

func writeText(out *bytes.Buffer, name string, text []byte) {
	if len(text) > 0 {
		b, _ := json.Marshal(string(text))
		fmt.Fprintf(out, `,%q:%s`, name, b)
	}
}

func writeNAT(out *bytes.Buffer, name string, a netip.Addr, port uint16) {
	if a.IsValid() {
		fmt.Fprintf(out, `,%q:%q`, name, a)
	}
	if port != 0 {
		fmt.Fprintf(out, `,"%s_port":%d`, name, port)
	}
}

// compare says which lines differ.
func compare(t *testing.T, file string, got []byte) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, b := bufio.NewScanner(bytes.NewReader(want)), bufio.NewScanner(bytes.NewReader(got))
	for a.Scan() {
		b.Scan()
		if a.Text() != b.Text() {
			t.Errorf("%s\nwant %s\ngot  %s", file, a.Text(), b.Text())
		}
	}
	if b.Scan() {
		t.Errorf("%s: more than expected: %s", file, b.Text())
	}
}
