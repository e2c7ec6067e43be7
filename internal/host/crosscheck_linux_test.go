package host

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

func crossCheck(t *testing.T, r *Reader, ns *nettest.NS) (found []Disagreement, gaps []exposure.Gap) {
	t.Helper()
	ns.Do(func() {
		var err error
		if found, gaps, err = r.CrossCheck(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return found, gaps
}

// Everything that fools a plain bind test, together with sockets that come and
// go, gives no disagreement.
func TestNoFalseDisagreement(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001", "tcp6 [::1]:1002", "tcp6 [::]:1003 v6only", "tcp6 [::]:1004", "tcp4 0.0.0.0:1005 bound",
		"tcp6 [::1]:1006 bound", "tcp4 0.0.0.0:1007 reuseport", "tcp4 0.0.0.0:1007 reuseport", "tcp4 0.0.0.0:1008 reuseaddr",
		"tcp4 0.0.0.0:1009 dev=lo", "mptcp4 0.0.0.0:1011", "mptcp6 [::1]:1012", "udp4 127.0.0.1:2001", "udp6 [::1]:2002",
		"udp4 127.0.0.1:2003 connect=127.0.0.1:2001", "udp4 0.0.0.0:2004 reuseaddr", "udp4 0.0.0.0:2004 reuseaddr",
		"udplite4 0.0.0.0:2005", "udp4 127.0.0.1:9 send", "raw4 0.0.0.0:0")
	connections(t, ns)
	ns.Script("ip link add vx1 type vxlan id 7 dstport 4790; ip link set vx1 up")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		flicker(ctx, ns)
	}()
	found, gaps := crossCheck(t, new(Reader), ns)
	cancel()
	<-done
	if len(found) != 0 || len(gaps) != 0 {
		t.Errorf("disagreements %+v, gaps %v", found, gaps)
	}
}

// flicker opens and closes listeners, datagram sockets and connections.
func flicker(ctx context.Context, ns *nettest.NS) {
	ns.Do(func() {
		for ctx.Err() == nil {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				continue
			}
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err == nil {
				_ = pc.Close()
			}
			c, err := net.Dial("tcp", ln.Addr().String())
			if err == nil {
				_ = c.Close()
			}
			time.Sleep(time.Millisecond)
			_ = ln.Close()
		}
	})
}

// A socket that one source hides is found, and all sources are named.
func TestHiddenFromProc(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001", "tcp4 127.0.0.1:1002", "udp6 [::1]:1003")
	r := &Reader{procRoot: tampered(t, ns, ":03E9 ")}
	found, _ := crossCheck(t, r, ns)
	if len(found) != 1 || found[0].Endpoint.String() != "tcp/127.0.0.1:1001" {
		t.Fatalf("%+v", found)
	}
	says := found[0].Says
	if !says[SourceDiag] || says[SourceProc] || !strings.Contains(found[0].Why, SourceProc) {
		t.Errorf("%+v", found[0])
	}
	if bpf, asked := says[SourceBPF]; asked && !bpf {
		t.Errorf("the iterator lists it: %v", says)
	}
}

// tampered is a /proc whose socket tables, copied from a namespace, lack the
// lines with a word.
func tampered(t *testing.T, ns *nettest.NS, hidden string) string {
	t.Helper()
	root := t.TempDir()
	net := filepath.Join(root, "thread-self", "net")
	if err := os.MkdirAll(net, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		var kept strings.Builder
		for line := range strings.Lines(ns.Run("cat", "/proc/net/"+name)) {
			if !strings.Contains(line, hidden) {
				kept.WriteString(line)
			}
		}
		if err := os.WriteFile(filepath.Join(net, name), []byte(kept.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A port in use that no listing shows is found, for IPv4 and for IPv6 alone.
// Here the listing is made to forget.
func TestHiddenFromDiag(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001", "udp6 [::1]:1002 v6only")
	ns.Do(func() {
		p := map[exposure.Proto]probedProto{}
		for _, one := range probed() {
			p[one.proto] = one
		}
		forgetful := usage{map[exposure.Proto]*portSet{}, map[exposure.Proto]*portSet{}}
		for proto := range p {
			forgetful.any[proto], forgetful.listens[proto] = new(portSet), new(portSet)
		}
		forgetful.any[exposure.TCP].add(1005)
		forgetful.listens[exposure.TCP].add(1005)
		var b prober
		for _, port := range []uint16{1001, 1002, 1003, 1005} {
			b.try(forgetful, p[exposure.TCP], port)
			b.try(forgetful, p[exposure.UDP], port)
		}
		want := []bindDoubt{{exposure.TCP, 1001, false, false}, {exposure.UDP, 1002, false, true}, {exposure.TCP, 1005, true, false}}
		if len(b.doubts) != len(want) {
			t.Errorf("%+v", b.doubts)
			return
		}
		for i := range want {
			if b.doubts[i] != want[i] {
				t.Errorf("%+v, want %+v", b.doubts[i], want[i])
			}
		}
	})
}

// What may not be asked is a gap, and no evidence.
func TestCrossCheckWithoutPrivilege(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:80", "udp4 127.0.0.1:53")
	found, gaps := crossCheck(t, &Reader{noBPF: true, noDiag: true}, ns)
	if len(found) != 0 || len(gaps) == 0 {
		t.Errorf("%+v, gaps %v", found, gaps)
	}
}
