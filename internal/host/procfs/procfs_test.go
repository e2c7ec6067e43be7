package procfs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// archive reads a ttar text archive: "Path: NAME", "Lines: N", then N lines.
func archive(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("shared fixtures are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files, path := map[string]string{}, ""
	for in := bufio.NewScanner(f); in.Scan(); {
		if p, ok := strings.CutPrefix(in.Text(), "Path: "); ok {
			path = p
		}
		count, ok := strings.CutPrefix(in.Text(), "Lines: ")
		n, err := strconv.Atoi(count)
		if !ok || err != nil {
			continue
		}
		var b strings.Builder
		for range n {
			in.Scan()
			b.WriteString(in.Text() + "\n")
		}
		files[path] = b.String()
	}
	return files
}

// unpack writes the archive's /proc tables into a folder.
func unpack(t *testing.T) Dir {
	t.Helper()
	files := archive(t, "../../../../shared/fixtures/proc/procfs/testdata/fixtures.ttar")
	root := t.TempDir()
	for path, text := range files {
		rel, ok := strings.CutPrefix(path, "fixtures/proc/net/")
		if !ok || strings.Contains(rel, "/") {
			continue
		}
		if err := os.MkdirAll(filepath.Join(root, "net"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "net", rel), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Dir{Root: root, Order: binary.LittleEndian}
}

func table(t *testing.T, d Dir, name string) ([]Entry, Skipped) {
	t.Helper()
	var out []Entry
	skipped, err := d.Inet(name, func(e *Entry) error { out = append(out, *e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out, skipped
}

var compareAddrPort = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func TestFixtures(t *testing.T) {
	d := unpack(t)
	at := netip.MustParseAddrPort
	want := []Entry{
		{Local: at("10.0.0.5:22"), Remote: at("0.0.0.0:0"), State: 10, RxQueue: 1, Inode: 2740, Drops: 100},
		{Local: at("0.0.0.0:22"), Remote: at("0.0.0.0:0"), State: 10, TxQueue: 1, Inode: 2740, Drops: 100},
		{Local: at("0.0.0.0:22"), Remote: at("0.0.0.0:0"), State: 10, TxQueue: 1, RxQueue: 1, Inode: 2740, Drops: 100},
	}
	got, skipped := table(t, d, "tcp")
	if diff := cmp.Diff(want, got, compareAddrPort); diff != "" || skipped.Count != 0 {
		t.Error(skipped, diff)
	}
	for _, name := range []string{"tcp6", "udp", "udp6"} {
		if got, skipped := table(t, d, name); len(got) == 0 || skipped.Count != 0 {
			t.Errorf("%s: %d entries, %v", name, len(got), skipped)
		}
	}
	if got, skipped := table(t, d, "udp_broken"); len(got) != 0 || skipped.Count != 1 || skipped.First != 2 {
		t.Errorf("udp_broken: %+v, %v", got, skipped)
	}
	names, err := d.Protocols()
	if err != nil || len(names) == 0 || names[0] != "PACKET" {
		t.Errorf("protocols %q, %v", names, err)
	}
}

const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// A broken line is counted with its number and loses nothing else.
func TestBrokenLinesAreSkipped(t *testing.T) {
	good := "   0: 0100007F:0016 00000000:0000 0A 00000002:00000001 00:00000000 00000000  1000        0 77 1 0 100 0 0 10 0\n"
	broken := []string{"", "   1: 0100007F:0016", "   1: 0100007F:0016 00000000:0000 XY 0:0 0 0 0 0 0\n", "garbage\n",
		strings.Repeat("A", 10000) + "\n", "   1: 0100007F:00160 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n",
		"   1: 0100007F:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n",
		"   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 4294967296 0 1\n",
		"   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 18446744073709551616\n"}
	for _, line := range broken {
		n := 0
		skipped, err := ParseInet(strings.NewReader(heading+good+line+"\n"+good), binary.LittleEndian, func(e *Entry) error {
			n++
			want := Entry{Local: netip.MustParseAddrPort("127.0.0.1:22"), Remote: netip.MustParseAddrPort("0.0.0.0:0"),
				State: 10, TxQueue: 2, RxQueue: 1, UID: 1000, Inode: 77, Drops: 100}
			if diff := cmp.Diff(want, *e, compareAddrPort); diff != "" {
				t.Error(diff)
			}
			return nil
		})
		wantBroken := min(len(line), 1)
		if err != nil || n != 2 || skipped.Count != wantBroken || skipped.Count > 0 && skipped.First != 3 {
			t.Errorf("%.60q: %d entries, %v, %v", line, n, skipped, err)
		}
	}
}

// What the kernel prints, as proc(5) and net/ipv4/tcp_ipv4.c write it, reads
// back whole in either byte order.
func TestEveryEntryReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")
		v6 := rapid.Bool().Draw(t, "v6")
		want := Entry{
			Local: drawAddrPort(t, v6, "local"), Remote: drawAddrPort(t, v6, "remote"),
			State: rapid.Uint8().Draw(t, "state"), TxQueue: rapid.Uint32().Draw(t, "tx"), RxQueue: rapid.Uint32().Draw(t, "rx"),
			UID: rapid.Uint32().Draw(t, "uid"), Inode: rapid.Uint64().Draw(t, "inode"), Drops: rapid.Uint64().Draw(t, "drops"),
		}
		line := fmt.Sprintf("%5d: %s %s %02X %08X:%08X 00:00000000 00000000 %5d        0 %d 2 0000000000000000 %d\n",
			rapid.Uint32().Draw(t, "slot"), printed(want.Local, order), printed(want.Remote, order), want.State,
			want.TxQueue, want.RxQueue, want.UID, want.Inode, want.Drops)
		var got Entry
		skipped, err := ParseInet(strings.NewReader(heading+line), order, func(e *Entry) error { got = *e; return nil })
		if diff := cmp.Diff(want, got, compareAddrPort); diff != "" || err != nil || skipped.Count != 0 {
			t.Fatalf("%s%v %v %s", line, err, skipped, diff)
		}
	})
}

func drawAddrPort(t *rapid.T, v6 bool, label string) netip.AddrPort {
	raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)
	ip := netip.AddrFrom16([16]byte(raw))
	if !v6 {
		ip = netip.AddrFrom4([4]byte(raw[:4]))
	}
	return netip.AddrPortFrom(ip, rapid.Uint16().Draw(t, label+" port"))
}

func printed(a netip.AddrPort, order binary.ByteOrder) string {
	var b strings.Builder
	for raw := a.Addr().AsSlice(); len(raw) > 0; raw = raw[4:] {
		fmt.Fprintf(&b, "%08X", order.Uint32(raw))
	}
	return fmt.Sprintf("%s:%04X", b.String(), a.Port())
}

func TestPacketTable(t *testing.T) {
	text := "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n" +
		"ffff888 3      3    0003   2     1 512    1000   12345\n" +
		"ffff889 3      3    zzzz   2     1 0      0      1\n"
	var got []PacketEntry
	skipped, err := ParsePacket(strings.NewReader(text), func(e *PacketEntry) error { got = append(got, *e); return nil })
	want := []PacketEntry{{Type: 3, EtherType: 3, Interface: 2, Running: true, Rmem: 512, UID: 1000, Inode: 12345}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || skipped.Count != 1 || skipped.First != 3 {
		t.Errorf("%v %v %s", err, skipped, diff)
	}
}

func TestFacts(t *testing.T) {
	first, last, err := ParsePortRange(strings.NewReader("32768\t60999\n"))
	if first != 32768 || last != 60999 || err != nil {
		t.Error(first, last, err)
	}
	for _, bad := range []string{"", "1", "9 1", "1 65536", "x y"} {
		if _, _, err := ParsePortRange(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken for a port range", bad)
		}
	}
	mounts, err := ParseNetNSMounts(strings.NewReader(
		"36 35 98:0 / /mnt rw - ext3 /dev/root rw\n40 25 0:4 net:[4026532281] /run/netns/a\\040b rw shared:5 - nsfs nsfs rw\n"))
	if diff := cmp.Diff([]NamespaceMount{{4026532281, "/run/netns/a b"}}, mounts); diff != "" || err != nil {
		t.Error(err, diff)
	}
	image, err := ParseImage(strings.NewReader("42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 100 200 300 18446744073709551615 1111 2222 3333 0\n"))
	if image != (Image{1111, 3333}) || err != nil {
		t.Error(image, err)
	}
	var sctp []SCTPEntry
	_, err = ParseSCTPEndpoints(strings.NewReader(" ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS\n ffff ffff 2   10  29   3868      0 555 10.0.0.1 fe80::1 \n"),
		func(e *SCTPEntry) error { sctp = append(sctp, *e); return nil })
	if err != nil || len(sctp) != 1 || sctp[0].Port != 3868 || len(sctp[0].Addrs) != 2 || sctp[0].State != 10 {
		t.Error(sctp, err)
	}
	var ports []string
	_, err = ParseNFSDPorts(strings.NewReader("rdma 20049\nudp 2049\ntcp 2049\n"), func(tr string, port uint16) { ports = append(ports, fmt.Sprint(tr, port)) })
	if strings.Join(ports, " ") != "rdma20049 udp2049 tcp2049" || err != nil {
		t.Error(ports, err)
	}
}

// The live table reads without a skipped line.
func TestLiveTables(t *testing.T) {
	live := Dir{Root: "/proc/thread-self"}
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "icmp"} {
		skipped, err := live.Inet(name, func(*Entry) error { return nil })
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || skipped.Count != 0 {
			t.Errorf("%s: %v %v", name, skipped, err)
		}
	}
}

// A table of any size is read without allocating for its entries.
func TestNoAllocationPerEntry(t *testing.T) {
	line := "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 0 100 0 0 10 0\n"
	text := heading + strings.Repeat(line, 10000)
	allocs := testing.AllocsPerRun(5, func() {
		_, _ = ParseInet(strings.NewReader(text), binary.LittleEndian, func(*Entry) error { return nil })
	})
	if allocs > 10 {
		t.Errorf("%.0f allocations for 10,000 entries", allocs)
	}
}

func FuzzInet(f *testing.F) {
	f.Add([]byte(heading + "   0: 0100007F:0016 00000000:0000 0A 00000002:00000001 00:00000000 00000000  1000        0 77\n"))
	f.Add([]byte(heading + "   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 0 0 0 0 1\n"))
	f.Add([]byte("sk       RefCnt Type Proto  Iface R Rmem   User   Inode\nffff888 3      3    0003   2     1 512    1000   12345\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, lines := string(b), strings.Count(string(b), "\n")+1
		n := 0
		skipped, err := ParseInet(strings.NewReader(text), binary.LittleEndian, func(e *Entry) error {
			n++
			if !e.Local.IsValid() || !e.Remote.IsValid() {
				t.Error("an address is missing")
			}
			return nil
		})
		if err != nil || n+skipped.Count > lines {
			t.Errorf("%d entries and %v of %d lines, %v", n, skipped, lines, err)
		}
		_, _ = ParsePacket(strings.NewReader(text), func(*PacketEntry) error { return nil })
	})
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte("40 25 0:4 net:[4026532281] /run/netns/a\\040b rw shared:5 - nsfs nsfs rw\n"))
	f.Add([]byte("42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 100 200 300 1 1111 2222 3333 0\n"))
	f.Add([]byte(" ENDPT\n ffff ffff 2   10  29   3868      0 555 10.0.0.1 fe80::1 \n"))
	f.Add([]byte("tcp 2049\n32768 60999"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(b)
		_, _ = ParseNetNSMounts(strings.NewReader(text))
		_, _ = ParseImage(strings.NewReader(text))
		_, _, _ = ParsePortRange(strings.NewReader(text))
		_, _ = ParseProtocols(strings.NewReader(text))
		_, _ = ParseSCTPEndpoints(strings.NewReader(text), func(*SCTPEntry) error { return nil })
		_, _ = ParseNFSDPorts(strings.NewReader(text), func(string, uint16) {})
	})
}
