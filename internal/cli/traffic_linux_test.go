package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// The program listens in a namespace whose neighbour talks to it.
func TestTrafficLive(t *testing.T) {
	d := newDuo(t)
	d.serveAll()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *duo)
	}{
		{"methods agree", liveMethodsAgree}, {"duration", liveDuration}, {"tunnels", liveKernelOpensTunnels}, {"cannot listen", liveCannotListen},
		{"check-mirror", liveCheckMirror}, {"into head", liveIntoHead}, {"full screen", liveFullScreen},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, &duo{lab: lab{t: t, ns: d.ns, program: d.program}, target: d.target})
		})
	}
}

// listening is a traffic command that runs in the target's namespace until it
// is interrupted.
type listening struct {
	d         *duo
	cmd       *exec.Cmd
	out, errs bytes.Buffer
}

// listen starts one and waits until it hears.
func (d *duo) listen(args ...string) *listening {
	d.t.Helper()
	before := d.hearing()
	l := &listening{d: d, cmd: d.target.Command(d.program, append([]string{"traffic", "-i", "eth0"}, args...)...)}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.errs
	if err := l.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = l.cmd.Process.Kill() })
	for end := time.Now().Add(20 * time.Second); d.hearing() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("%v does not listen: %s", args, l.errs.String())
		}
	}
	return l
}

// hearing counts who listens on the target's interface: both methods make it
// promiscuous, the last thing before they hear.
func (d *duo) hearing() string {
	_, rest, _ := strings.Cut(d.target.Run("ip", "-d", "link", "show", "eth0"), "promiscuity ")
	n, _, _ := strings.Cut(rest, " ")
	return n
}

// interrupt ends it as Ctrl-C does and gives what it said.
func (l *listening) interrupt() (out, errs string) {
	l.d.t.Helper()
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		l.d.t.Fatal(err)
	}
	_ = l.cmd.Wait()
	if code := l.cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(l.errs.String(), "interrupted") {
		l.d.t.Errorf("exit %d\n%s", code, l.errs.String())
	}
	return l.out.String(), l.errs.String()
}

const (
	talkPort = 8080 // of TCP
	sayPort  = 5000 // of UDP
)

// serveAll answers at both ports of the target.
func (d *duo) serveAll() {
	tcp := d.target.Listen("tcp4", net.JoinHostPort(duoTarget, fmt.Sprint(talkPort)))
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	udp := d.target.ListenPacket("udp4", net.JoinHostPort(duoTarget, fmt.Sprint(sayPort)))
	go func() {
		for buf := make([]byte, 2048); ; {
			if _, _, err := udp.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
}

// talk makes n TCP connections, each echoed and ended well.
func (d *duo) talk(n int) {
	d.t.Helper()
	d.ns.Do(func() {
		for range n {
			c, err := net.Dial("tcp4", net.JoinHostPort(duoTarget, fmt.Sprint(talkPort)))
			if err != nil {
				d.t.Error(err)
				return
			}
			_, _ = c.Write(bytes.Repeat([]byte("x"), 1000))
			_ = c.(*net.TCPConn).CloseWrite()
			if echo, err := io.ReadAll(c); err != nil || len(echo) != 1000 {
				d.t.Errorf("%d bytes came back, %v", len(echo), err)
			}
			_ = c.Close()
		}
	})
}

// say sends n datagrams of 100 bytes from one socket.
func (d *duo) say(n int) {
	d.t.Helper()
	d.ns.Do(func() {
		c, err := net.Dial("udp4", net.JoinHostPort(duoTarget, fmt.Sprint(sayPort)))
		if err != nil {
			d.t.Error(err)
			return
		}
		defer c.Close()
		for range n {
			if _, err := c.Write(make([]byte, 100)); err != nil {
				d.t.Error(err)
			}
		}
	})
}

const saidBytes = 14 + 20 + 8 + 100 // of one datagram on the wire

func rowOf(doc trafficTold, proto string, port int) portLine {
	i := slices.IndexFunc(doc.Ports, func(r portLine) bool { return r.Proto == proto && r.Port == port })
	if i < 0 {
		return portLine{}
	}
	return doc.Ports[i]
}

// Both methods tell the same of the same traffic, to the packet, also what
// came just before the end; Ctrl-C prints what was seen.
func liveMethodsAgree(t *testing.T, d *duo) {
	d.talk(1) // neighbours know each other
	kernel, packets, byFlowOnes := d.listen("--method", "kernel", "--json"), d.listen("--method", "packets", "--json"), d.listen("--by", "flow", "--json", "udp or tcp")
	time.Sleep(100 * time.Millisecond)
	d.talk(3)
	d.say(1500)
	kernelOut, _ := kernel.interrupt()
	packetsOut, _ := packets.interrupt()
	flowsOut, _ := byFlowOnes.interrupt()
	a, b := trafficDoc(t, kernelOut), trafficDoc(t, packetsOut)
	want := portLine{Proto: "udp", Port: sayPort, Packets: 1500, PacketsTo: 1500, Bytes: 1500 * saidBytes, BytesTo: 1500 * saidBytes, Clients: 1, Servers: 1}
	for name, doc := range map[string]trafficTold{"kernel": a, "packets": b} {
		got := rowOf(doc, "udp", sayPort)
		got.Service = ""
		if n := uint64(doc.Quality.Dropped); n > 0 && n < 3 { // a busy kernel may drop one, and says so
			got.Packets, got.PacketsTo, got.Bytes, got.BytesTo = got.Packets+n, got.PacketsTo+n, got.Bytes+n*saidBytes, got.BytesTo+n*saidBytes
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v; quality %+v", name, got, want, doc.Quality)
		}
	}
	k, p := rowOf(a, "tcp", talkPort), rowOf(b, "tcp", talkPort)
	if k != p || k.Clients != 1 || k.PacketsTo < 12 || k.BytesTo < 3*1000+k.PacketsTo*54 {
		t.Errorf("tcp by kernel %+v, by packets %+v", k, p)
	}
	tcp, udp := 0, uint64(0)
	for _, f := range linesAs[flowTold](t, flowsOut) {
		switch {
		case f.Proto == "tcp" && f.ServerPort == talkPort && f.Server == duoTarget && f.OrientedBy == "syn":
			tcp++
		case f.Proto == "udp" && f.ServerPort == sayPort:
			udp += f.PTo
		}
	}
	if tcp != 3 || udp != 1500 {
		t.Errorf("%d connections, %d datagrams as flows", tcp, udp)
	}
}

// --duration ends a run well, with what came before.
func liveDuration(t *testing.T, d *duo) {
	for _, method := range []string{"auto", "packets"} {
		l := d.listen("--method", method, "--json", "--duration", "1500ms")
		time.Sleep(100 * time.Millisecond)
		d.say(700)
		if err := l.cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", method, err, l.errs.String())
		}
		if got := rowOf(trafficDoc(t, l.out.String()), "udp", sayPort); got.Packets != 700 {
			t.Errorf("%s: %+v", method, got)
		}
	}
}

// When tunnels appear, counting in the kernel goes on with packets: who talks
// inside is told, and others' counts are those of all the time.
func liveKernelOpensTunnels(t *testing.T, d *duo) {
	l := d.listen("--method", "kernel", "--json")
	time.Sleep(100 * time.Millisecond)
	d.say(50)
	outer := wiretest.IPv4{Src: netip.MustParseAddr("10.8.0.1"), Dst: netip.MustParseAddr(duoTarget)}
	inner := wiretest.IPv4{Src: netip.MustParseAddr("172.16.0.1"), Dst: netip.MustParseAddr("172.16.0.2")}
	eth := wiretest.Ethernet{Dst: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Src: [6]byte{2, 0, 0, 0, 0, 1}}
	syn := wiretest.TCP{SrcPort: 40000, DstPort: 80, Flags: wiretest.SYN}
	vxlan := wiretest.Frame(eth, outer, wiretest.UDP{SrcPort: 50000, DstPort: 4789}, wiretest.VXLAN{VNI: 5}, eth, inner, syn)
	gre := wiretest.Frame(eth, outer, wiretest.GRE{}, inner, wiretest.UDP{SrcPort: 40001, DstPort: 53}, wiretest.Bytes("question"))
	d.inject(slices.Repeat([][]byte{vxlan}, 5))
	before := d.rings()
	for end := time.Now().Add(20 * time.Second); d.rings() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no packet is looked at (%d rings before): %s", before, l.errs.String())
		}
	}
	time.Sleep(300 * time.Millisecond) // until the kernel has stopped counting
	d.inject(slices.Concat(slices.Repeat([][]byte{vxlan}, 400), slices.Repeat([][]byte{gre}, 300)))
	d.say(60)
	out, _ := l.interrupt()
	doc := trafficDoc(t, out)
	for _, c := range []struct {
		proto   string
		port    int
		packets uint64
	}{{"tcp", 80, 400}, {"udp", 53, 300}, {"udp", sayPort, 110}} {
		if got := rowOf(doc, c.proto, c.port); got.Packets != c.packets {
			t.Errorf("%s/%d: %+v, want %d packets", c.proto, c.port, got, c.packets)
		}
	}
	if len(doc.Notes) == 0 || !strings.Contains(doc.Notes[0], "outer addresses: ") {
		t.Errorf("nothing is said of the tunnels' first packets: %v", doc.Notes)
	}
}

// rings counts the packet sockets of the target's namespace.
func (d *duo) rings() int {
	return strings.Count(d.target.Run("cat", "/proc/net/packet"), "\n") - 1
}

// inject sends frames by a packet socket at the scanner's end.
func (d *duo) inject(frames [][]byte) {
	d.t.Helper()
	d.ns.Do(func() {
		eth, err := net.InterfaceByName("eth0")
		if err != nil {
			d.t.Fatal(err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			d.t.Fatal(err)
		}
		defer unix.Close(fd)
		to := &unix.SockaddrLinklayer{Ifindex: eth.Index, Protocol: binary.NativeEndian.Uint16([]byte{8, 0})}
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, to); err != nil {
				d.t.Error(err)
			}
		}
	})
}

// What cannot be listened on is told with what to do, on stdout is nothing.
func liveCannotListen(t *testing.T, d *duo) {
	setpriv := nettest.Need(t, "setpriv")
	for _, dir := range []string{filepath.Dir(d.program), filepath.Dir(filepath.Dir(d.program))} {
		must(t, os.Chmod(dir, 0o755))
	}
	for _, more := range [][]string{{}, {"--method", "packets"}, {"--method", "kernel"}, {"--by", "flow"}} {
		out, errs, code := d.run(append([]string{"traffic", "-i", "no-such0", "--duration", "1s"}, more...)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, "no-such0") {
			t.Errorf("%v: exit %d, stdout %q\n%s", more, code, out, errs)
		}
		cmd := d.ns.Command(setpriv, append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", d.program, "traffic", "-i", "eth0", "--duration", "1s"}, more...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		text, _ := cmd.Output()
		if cmd.ProcessState.ExitCode() != exitUsage || len(text) > 0 || !strings.Contains(stderr.String(), "CAP_NET_RAW") && !strings.Contains(stderr.String(), "CAP_BPF") {
			t.Errorf("without root %v: exit %d, stdout %q\n%s", more, cmd.ProcessState.ExitCode(), text, stderr.String())
		}
	}
}

// A veth end that gets only its own traffic is no mirror port.
func liveCheckMirror(t *testing.T, d *duo) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(500 * time.Millisecond)
		d.talk(20)
	}()
	out, errs, code := d.run("traffic", "check-mirror", "-i", "eth0", "--duration", "2s")
	<-done
	if code != exitDone || !strings.HasPrefix(out, "eth0: no: ") {
		t.Errorf("exit %d\n%s\n%s", code, out, errs)
	}
	out, errs, code = d.run("traffic", "check-mirror", "-i", "eth0", "--duration", "300ms", "--json")
	if code != exitDone || !strings.Contains(out, `"schema": "portreeve.mirror/1"`) {
		t.Errorf("exit %d\n%s\n%s", code, out, errs)
	}
}

// A reader that goes away ends the run without words.
func liveIntoHead(t *testing.T, d *duo) {
	file := filepath.Join(t.TempDir(), "errors")
	cmd := d.target.Command("sh", "-c", fmt.Sprintf("%s traffic -i eth0 --by packet udp 2>%s | head -1", d.program, file))
	ended := make(chan error, 1)
	var out []byte
	go func() {
		var err error
		out, err = cmd.Output()
		ended <- err
	}()
	for end := time.After(30 * time.Second); ; {
		select {
		case err := <-ended:
			errs, _ := os.ReadFile(file)
			if err != nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "udp 10.8.0.1:") || len(errs) > 0 {
				t.Errorf("%v\n%s%s", err, out, errs)
			}
			return
		case <-end:
			_ = cmd.Process.Kill()
			t.Fatal("it does not end")
		case <-time.After(50 * time.Millisecond):
			d.say(5)
		}
	}
}

// On a terminal the live view fills the screen, shows flows, and q leaves it.
func liveFullScreen(t *testing.T, d *duo) {
	tmux := nettest.Need(t, "tmux")
	dir := t.TempDir()
	socket, ended := filepath.Join(dir, "tmux"), filepath.Join(dir, "ended")
	do := func(args ...string) string {
		cmd := d.target.Command(tmux, append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8")
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	do("new-session", "-d", "-x", "100", "-y", "30", fmt.Sprintf("%s traffic -i eth0; echo $? >%s", d.program, ended))
	t.Cleanup(func() { do("kill-server") })
	screen := ""
	for end := time.Now().Add(20 * time.Second); !strings.Contains(screen, "udp/5000"); time.Sleep(100 * time.Millisecond) {
		if screen = do("capture-pane", "-p"); time.Now().After(end) {
			t.Fatalf("no flow is shown:\n%s", screen)
		}
		d.say(3)
	}
	do("send-keys", "q")
	var code []byte
	for end := time.Now().Add(20 * time.Second); len(code) == 0; time.Sleep(20 * time.Millisecond) {
		if code, _ = os.ReadFile(ended); time.Now().After(end) {
			t.Fatalf("it does not end:\n%s", do("capture-pane", "-p"))
		}
	}
	if string(code) != "0\n" {
		t.Errorf("exit %s", code)
	}
}
