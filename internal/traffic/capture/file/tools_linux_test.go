package file

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// output runs a program that must succeed.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(nettest.Need(t, program), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, problems.Bytes())
	}
	return string(out)
}

// Number of packets and bytes on the wire of every fixture are those that
// capinfos tells.
func TestCapinfosAgrees(t *testing.T) {
	all := captures(t)
	names := slices.Sorted(maps.Keys(all))
	out := output(t, "capinfos", append([]string{"-T", "-m", "-r", "-M", "-c", "-d"}, names...)...)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != len(names) {
		t.Fatalf("%d rows for %d files, %v", len(rows), len(names), err)
	}
	for _, row := range rows {
		packets, _, err := readAll(bytes.NewReader(all[row[0]]))
		if err != io.EOF {
			t.Errorf("%s: %v", row[0], err)
		}
		size := 0
		for _, p := range packets {
			size += int(p.Wire)
		}
		// "n/a" stands for files without packets.
		if got := []string{strconv.Itoa(len(packets)), strconv.Itoa(size)}; !slices.Equal(got, []string{row[1], strings.ReplaceAll(row[2], "n/a", "0")}) {
			t.Errorf("%s: %v, capinfos says %v", row[0], got, row[1:])
		}
	}
}

// tsharkLines are what tshark says of each packet: time, wire and stored
// length, direction. It lists custom blocks too, which are no packets.
func tsharkLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	out := output(t, "tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.packet_flags_direction", "-e", "frame.encap_type")
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if fields[4] == "" { // no encapsulation
			continue
		}
		if fields[0] == "" { // a simple packet's time
			fields[0] = "0.000000000"
		}
		lines = append(lines, strings.Join(fields[:4], "\t"))
	}
	return lines
}

func ownLines(t *testing.T, data []byte) (lines []string) {
	t.Helper()
	packets, _, err := readAll(bytes.NewReader(data))
	if err != io.EOF {
		t.Error(err)
	}
	for _, p := range packets {
		direction := []string{"", "0x00000001", "0x00000002"}[p.Direction]
		at := fmt.Sprintf("%d.%09d", p.Time/1e9, p.Time%1e9)
		lines = append(lines, strings.Join([]string{at, fmt.Sprint(p.Wire), fmt.Sprint(len(p.Data)), direction}, "\t"))
	}
	return lines
}

// tshark sees the same packets in the generator's harder files.
func TestTsharkAgrees(t *testing.T) {
	paths, err := filepath.Glob(fixtures + "/pcapng-test-generator/output_be/[ad]*/*.pcapng")
	if err != nil || len(paths) != 6 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := ownLines(t, data), tsharkLines(t, path); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\ntshark:\n%s", path, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// What editcap makes of a capture, cut to 60 bytes a packet, is the capture.
func TestEditcapAgrees(t *testing.T) {
	const original = fixtures + "/arkime/mysql-tls.pcap"
	data, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	want := twinRead(data).packets
	for i := range want {
		want[i].Data = want[i].Data[:min(60, len(want[i].Data))]
	}
	for _, format := range []string{"pcap", "nsecpcap", "modpcap", "suse6_3pcap", "pcapng"} {
		path := filepath.Join(t.TempDir(), format)
		output(t, "editcap", "-F", format, "-s", "60", original, path)
		made, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := readAll(made)
		if err != io.EOF {
			t.Errorf("%s: %v", format, err)
		}
		for i := range got {
			got[i].Direction = 0 // of the modified ones
		}
		same(t, format, got, want)
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	}
}

// tcpdump and tshark read what the writer writes, tags and directions
// included.
func TestToolsReadOurs(t *testing.T) {
	arp := []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x01\x0a\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x02")
	for format, ext := range map[Format]string{Microseconds: "micro", Nanoseconds: "nano", PCAPNG: "ng"} {
		path := filepath.Join(t.TempDir(), ext)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := NewWriter(f, Options{Format: format})
		for i := range 300 {
			p := capture.Packet{Data: arp, Wire: 60, Time: 1e18 + int64(i)*1001, Link: 1, HasVLAN: i%2 == 1, VLANTCI: 7, Direction: capture.Direction(i % 3)}
			if err := w.Write(&p); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(output(t, "tcpdump", "-nr", path, "arp or (vlan 7 and arp)"), "who-has 10.0.0.2"); n != 300 {
			t.Errorf("%s: tcpdump sees %d packets", ext, n)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := ownLines(t, data), tsharkLines(t, path); !slices.Equal(got, want) {
			t.Errorf("%s:\n%v\ntshark:\n%v", ext, got[:3], want[:3])
		}
	}
}
