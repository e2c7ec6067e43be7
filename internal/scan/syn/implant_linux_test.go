package syn

import (
	"bufio"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// plant starts a packet-socket implant and waits until it listens.
func plant(t *testing.T, ns *nettest.NS, port int, mode string, delayMS int) {
	t.Helper()
	python := nettest.Need(t, "python3")
	script, err := filepath.Abs("testdata/implant.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := ns.Command(python, script, fmt.Sprint(port), mode, fmt.Sprint(delayMS))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("implant did not start: %q %v", line, err)
	}
}

// A SYN-ACK from a packet socket is found at sweep speed although the kernel's
// RST comes first, or is dropped, and although the implant reads slowly.
func TestFindsPacketSocketImplant(t *testing.T) {
	for _, mode := range []string{"all", "filter"} {
		for _, dropRST := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/dropRST=%v", mode, dropRST), func(t *testing.T) {
				ns := nettest.New(t)
				if dropRST {
					nettest.Need(t, "nft")
					ns.Script("nft add table inet f; nft 'add chain inet f o { type filter hook output priority 0; }'; nft 'add rule inet f o tcp flags & rst == rst tcp sport 4444 drop'")
				}
				plant(t, ns, 4444, mode, 20)
				watch := watchPackets(t, ns)
				lo4, lo6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
				start := time.Now()
				r := sweepIn(ns, &Transport{Queues: watch}, []netip.Addr{lo4, lo6}, allPorts())
				if r.err != nil || len(r.gaps) > 0 {
					t.Errorf("error %v, gaps %v", r.err, r.gaps)
				}
				for _, lo := range []netip.Addr{lo4, lo6} {
					if got := r.states[netip.AddrPortFrom(lo, 4444)].State; got != exposure.Open {
						t.Errorf("%s: implant's port is %q, want open", lo, got)
					}
				}
				if len(r.states) != 2 {
					t.Errorf("not closed: %v", r.states)
				}
				t.Logf("%v, %d looks at queues, %+v", time.Since(start), watch.asked, r.stats)
			})
		}
	}
}
