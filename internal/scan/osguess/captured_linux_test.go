package osguess

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/scan/osguess/p0f"
	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// captured is one line of testdata/synacks.txt.
type captured struct {
	want, file string
	raw        []byte
	print      synack.Print
}

func readCaptured(t *testing.T) []captured {
	t.Helper()
	text, err := os.ReadFile("testdata/synacks.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []captured
	err = eachLine(string(text), func(words []string) error {
		raw, err := hex.DecodeString(words[2])
		if err != nil {
			return err
		}
		a, ok := synack.Decode(raw)
		if !ok || !a.IsSYNACK() {
			t.Errorf("%s: no SYN-ACK", words[1])
		}
		all = append(all, captured{words[0], words[1], raw, synack.Print{Addr: a.Src, SYNACK: &a}})
		return nil
	})
	// A comment ends a line; eachLine reads words up to it.
	if err != nil || len(all) < 25 {
		t.Fatalf("%d SYN-ACKs, %v", len(all), err)
	}
	return all
}

// Real systems' answers, captured by others, get the name that is known of
// them, or none.
func TestCapturedSystems(t *testing.T) {
	table := ownTable(t)
	for _, c := range readCaptured(t) {
		got := table.guess(c.print)
		name := "-"
		if len(got) > 0 {
			name = got[0].Name
		}
		if name != c.want {
			t.Errorf("%s: want %q, got %v", c.file, c.want, got)
		}
	}
}

// An installed p0f names the same answers as our reader of its database does.
// p0f forms its opinion of a window in segments in more ways than the README
// tells, so where ours has none, p0f's is not asked.
func TestReaderAgreesWithP0f(t *testing.T) {
	program := nettest.Need(t, "p0f")
	f, err := os.Open("/etc/p0f/p0f.fp")
	if err != nil {
		nettest.Missing(t, "p0f.fp of the package p0f")
	}
	defer func() { _ = f.Close() }()
	table, err := p0f.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range readCaptured(t) {
		theirs := runP0f(t, program, c)
		if theirs == "" {
			continue
		}
		ours := "???"
		if got := table.Match(c.print); len(got) > 0 {
			ours = got[0].Name
		}
		compared++
		if ours != theirs {
			t.Errorf("%s: p0f says %q, our reader %q", c.file, theirs, ours)
		}
	}
	if compared < 15 {
		t.Errorf("p0f said something of %d answers only", compared)
	}
}

// runP0f lets p0f read a capture of a SYN and the answer; "" where it is silent.
func runP0f(t *testing.T, program string, c captured) string {
	t.Helper()
	dir := t.TempDir()
	capture, log := filepath.Join(dir, "c.pcap"), filepath.Join(dir, "log")
	if err := os.WriteFile(capture, captureOf(synFor(c), c.raw), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-r", capture, "-o", log).CombinedOutput(); err != nil {
		t.Fatalf("p0f: %v\n%s", err, out)
	}
	text, _ := os.ReadFile(log)
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, "|os="); ok && strings.Contains(line, "mod=syn+ack") {
			name, _, _ := strings.Cut(rest, "|")
			return name
		}
	}
	return ""
}

// synFor is a SYN that the answer may have answered.
func synFor(c captured) []byte {
	b := slices.Clone(c.raw)
	tcp := 20
	if c.print.Addr.Is6() {
		tcp = 40
		copy(b[8:24], c.raw[24:40])
		copy(b[24:40], c.raw[8:24])
		binary.BigEndian.PutUint16(b[4:], 20)
	} else {
		b[0] = 0x45
		copy(b[12:16], c.raw[16:20])
		copy(b[16:20], c.raw[12:16])
		binary.BigEndian.PutUint16(b[2:], 40)
	}
	b = b[:tcp+20]
	a := c.print.SYNACK
	binary.BigEndian.PutUint16(b[tcp:], a.DPort)
	binary.BigEndian.PutUint16(b[tcp+2:], a.SPort)
	binary.BigEndian.PutUint32(b[tcp+4:], a.Ack-1)
	binary.BigEndian.PutUint32(b[tcp+8:], 0)
	b[tcp+12], b[tcp+13] = 5<<4, 2
	return b
}

// captureOf is a pcap file of raw IP packets (link type 101).
func captureOf(packets ...[]byte) []byte {
	file := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0}
	for i, p := range packets {
		file = binary.LittleEndian.AppendUint32(file, 1_700_000_000)
		file = binary.LittleEndian.AppendUint32(file, uint32(i))
		file = binary.LittleEndian.AppendUint32(file, uint32(len(p)))
		file = binary.LittleEndian.AppendUint32(file, uint32(len(p)))
		file = append(file, p...)
	}
	return file
}

// An installed nmap-os-db has the captured system's family among its guesses
// wherever it has any and the family is known to it.
func TestNmapDatabaseKnowsCapturedSystems(t *testing.T) {
	dbs, gaps := Find(os.DirFS("/"))
	at := slices.IndexFunc(dbs, func(d Database) bool { _, isP0f := d.(*p0f.Table); return !isP0f })
	if at < 0 {
		nettest.Missing(t, "nmap-os-db (package nmap-common)")
	}
	if len(gaps) != 0 {
		t.Errorf("gaps: %v", gaps)
	}
	table := ownTable(t)
	agreed, named := 0, 0
	for _, c := range readCaptured(t) {
		got := dbs[at].Match(c.print)
		if c.want == "-" || len(got) == 0 {
			continue
		}
		named++
		if slices.ContainsFunc(got, func(g exposure.OSGuess) bool {
			return table.related(table.familyOf(g.Name), table.familyOf(strings.TrimSuffix(c.want, " – 8/Server 2012")))
		}) {
			agreed++
		} else {
			t.Logf("%s is %s; the database says %v", c.file, c.want, got)
		}
	}
	if named < 12 || agreed < named-2 {
		t.Errorf("the family agrees for %d of %d", agreed, named)
	}
}
