package live

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/nettest"
)

// tcpdump, run beside, and the kernel's own counter have the same packets:
// contents, lengths on the wire and times, with tags put back where they were.
func TestTcpdumpBeside(t *testing.T) {
	nettest.Need(t, "tcpdump")
	// A machine that keeps the reader waiting loses packets, and counts them:
	// then there is nothing to compare.
	for range 3 {
		if dropped := besideTcpdump(t); dropped == 0 {
			return
		}
	}
	t.Error("packets were dropped three times")
}

func besideTcpdump(t *testing.T) (dropped uint64) {
	t.Helper()
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "beside.pcap")
	dump := startDump(t, l.to, file)
	before := received(t, l.to)
	r := open(t, l.to, Options{Interfaces: []string{"eth0"}})[0]
	frames := mixed()
	for i := range frames {
		if i%3 == 0 {
			f := append([]byte(nil), frames[i][:12]...)
			frames[i] = append(append(f, 0x81, 0, byte(i>>8), byte(i)), frames[i][12:]...)
		}
	}
	newSender(t, l.from, "eth0").flood(t, frames, 5000, 100_000)
	ours := rest(t, r)
	if err := dump.Wait(); err != nil {
		t.Fatal(err)
	}
	if dropped = r.Stats().Dropped; dropped > 0 {
		return dropped
	}
	if n := received(t, l.to) - before; n != 5000 || len(ours) != 5000 {
		t.Errorf("%d packets; the kernel counted %d", len(ours), n)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	theirs, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range ours {
		data, ci, err := theirs.ReadPacketData()
		if err != nil {
			t.Fatalf("tcpdump's packet %d: %v", i, err)
		}
		mine := o.Data
		if o.HasVLAN {
			tag := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, o.VLANProto), o.VLANTCI)
			mine = append(append(append([]byte(nil), mine[:12]...), tag...), mine[12:]...)
		}
		apart := ci.Timestamp.UnixNano() - o.Time
		if !bytes.Equal(mine, data) || ci.Length != int(o.Wire) || apart > 1e8 || apart < -1e8 {
			t.Fatalf("packet %d: %x of %d, tcpdump's %x of %d, %d ns apart", i, mine, o.Wire, data, ci.Length, apart)
		}
	}
	return 0
}

func startDump(t *testing.T, ns *nettest.NS, file string) *exec.Cmd {
	t.Helper()
	cmd := ns.Command("tcpdump", "-i", "eth0", "-B", "16384", "-s", "2000", "--immediate-mode", "-c", "5000", "-Z", "root", "-w", file)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, "listening") {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd
}

// received is how many packets the kernel says that eth0 received.
func received(t *testing.T, ns *nettest.NS) int {
	t.Helper()
	var links []struct {
		Stats64 struct{ Rx struct{ Packets int } }
	}
	if err := json.Unmarshal([]byte(ns.Run("ip", "-s", "-j", "link", "show", "eth0")), &links); err != nil {
		t.Fatal(err)
	}
	return links[0].Stats64.Rx.Packets
}
