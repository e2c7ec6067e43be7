package negotiate

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/nettest"
)

// tshark finds in the composed conversations the ports and addresses that
// they were composed with: they are what the protocols look like. Each
// conversation has its own network, so that it reads them as others.
func TestConversationsAreWellFormed(t *testing.T) {
	program := nettest.Need(t, "tshark")
	all := conversations()
	var frames [][]byte
	var owner []int
	fields := map[string]int{}
	args := []string{"-n", "-T", "fields", "-E", "aggregator=/s", "-d", "tcp.port==5080,sip"}
	for i, c := range all {
		l := newLab(Options{})
		for _, s := range c.said {
			f := l.frame(s)
			if f[0]>>4 == 4 {
				f[12], f[16] = byte(20+i), byte(20+i)
			}
			frames, owner = append(frames, f), append(owner, i)
		}
		if _, known := fields[c.field]; !known && c.field != "" {
			fields[c.field] = len(fields)
			args = append(args, "-e", c.field)
		}
	}
	out, err := exec.Command(program, append(args, "-r", captureFile(t, frames))...).Output()
	if err != nil {
		t.Fatal(err)
	}
	told := make([][]string, len(all))
	for n, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		i := owner[n]
		if k, ok := fields[all[i].field]; ok {
			told[i] = append(told[i], strings.Fields(strings.Split(line, "\t")[k])...)
		}
	}
	for i, c := range all {
		if got := strings.Join(told[i], " "); got != c.ports {
			t.Errorf("%s: tshark tells %s %q, want %q", c.name, c.field, got, c.ports)
		}
	}
}

// The names of interfaces and programs are those that tshark knows, where it
// knows any; where the words differ, the table's is a part of it or the other
// way round, or it is listed here.
func TestNamesAgree(t *testing.T) {
	program := nettest.Need(t, "tshark")
	var frames [][]byte
	var names []string
	l := newLab(Options{})
	for id, name := range loadTables().interfaces {
		frames = append(frames, l.frame(tcp(fmt.Sprintf("10.0.0.2:%d", 20000+len(frames)), "10.0.0.1:135", bind(string(id[:]), 1))))
		names = append(names, name)
	}
	out, err := exec.Command(program, "-n", "-r", captureFile(t, frames), "-T", "fields", "-e", "_ws.col.Info").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) {
		t.Fatalf("%d lines for %d interfaces", len(lines), len(names))
	}
	known := 0
	for i, line := range lines {
		_, tells, ok := strings.Cut(line, "1 context items: ")
		word, _, _ := strings.Cut(tells, " V")
		if !ok {
			t.Errorf("%s: %s", names[i], line)
		}
		if strings.Count(word, "-") == 4 {
			continue // not known to tshark
		}
		known++
		if !alike(names[i], strings.ToLower(word)) {
			t.Errorf("%s is %s to tshark", names[i], word)
		}
	}
	if known < 35 {
		t.Errorf("tshark knows only %d of %d", known, len(names))
	}
}

func alike(ours, theirs string) bool {
	other := map[string][]string{
		"iremotescmactivator": {"isystemactivator"}, "iremoteactivation": {"remact"}, "emsmdb": {"mapi"},
		"schrpc": {"taskschedulerservice"}, "fssagent": {"fsrvp"},
	}
	plain := strings.NewReplacer("_", "", "-", "").Replace
	return strings.Contains(plain(theirs), plain(ours)) || strings.Contains(plain(ours), plain(theirs)) || slices.Contains(other[ours], theirs)
}

// captureFile writes raw IP packets to a capture file.
func captureFile(t *testing.T, frames [][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "said.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := pcapgo.NewWriter(file)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.WritePacket(gopacket.CaptureInfo{Length: len(f), CaptureLength: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// frame builds an IP packet without checksums.
func (l *lab) frame(s sent) []byte {
	p := l.packet(s)
	from, to := netip.MustParseAddrPort(s.from).Addr(), netip.MustParseAddrPort(s.to).Addr()
	be := binary.BigEndian
	head := be.AppendUint16(be.AppendUint16(nil, p.SrcPort), p.DstPort)
	if s.proto == protoTCP {
		head = be.AppendUint32(be.AppendUint32(head, p.Seq), p.Ack)
		head = append(head, 0x50, byte(p.Flags), 0xff, 0xff, 0, 0, 0, 0)
	} else {
		head = append(be.AppendUint16(head, uint16(8+len(p.Payload))), 0, 0)
	}
	body := append(head, p.Payload...)
	if from.Is4() {
		ip := append([]byte{0x45, 0}, be.AppendUint16(nil, uint16(20+len(body)))...)
		ip = append(ip, 0, 0, 0, 0, 64, s.proto, 0, 0)
		return slices.Concat(ip, from.AsSlice(), to.AsSlice(), body)
	}
	ip := append([]byte{0x60, 0, 0, 0}, be.AppendUint16(nil, uint16(len(body)))...)
	return slices.Concat(append(ip, s.proto, 64), from.AsSlice(), to.AsSlice(), body)
}
