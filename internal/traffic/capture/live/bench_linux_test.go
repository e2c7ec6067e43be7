package live

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/afpacket"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// asReader is the environment variable that makes the test binary a reader:
// processor time is measured of a process that does nothing else.
const asReader = "PORTREEVE_LIVE_READER"

// BenchmarkCPU sends packets at a steady rate over a veth to one reader after
// the other, each in a process of its own, and tells the reader's processor
// time and how many packets it counted. PORTREEVE_LIVE_PACKETS changes how
// many are sent, PORTREEVE_LIVE_SHAPES="blocksize,blocks,ms …" which rings are
// tried.
func BenchmarkCPU(b *testing.B) {
	nettest.Need(b, "tcpdump")
	readers := []string{"tcpdump", "gopacket", fmt.Sprintf("%d,%d,%d", DefaultBlockSize, DefaultBlocks, DefaultRetire.Milliseconds())}
	if s := os.Getenv("PORTREEVE_LIVE_SHAPES"); s != "" {
		readers = append(readers[:1], strings.Fields(s)...)
	}
	for _, reader := range readers {
		b.Run(reader, func(b *testing.B) {
			for b.Loop() {
				measure(b, reader)
			}
		})
	}
}

func measure(b *testing.B, reader string) {
	const rate = 250_000
	n := 1_000_000
	if s, err := strconv.Atoi(os.Getenv("PORTREEVE_LIVE_PACKETS")); err == nil {
		n = s
	}
	l := newLab(b)
	s := newSender(b, l.from, "eth0")
	cmd := readerCommand(l.to, reader)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "listening") {
		b.Fatalf("%s: %q, %v", reader, line, err)
	}
	atBegin := spent(b, cmd.Process.Pid) // a test binary takes longer to start than a program
	frames := mixed()
	begun := time.Now()
	s.flood(b, frames, n, rate)
	took := time.Since(begun)
	time.Sleep(1500 * time.Millisecond) // tcpdump's block time-out is a second
	_ = cmd.Process.Signal(os.Interrupt)
	said, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%s: %v\n%s", reader, err, said)
	}
	st := cmd.ProcessState
	cpu := st.UserTime() + st.SystemTime() - atBegin
	usage := st.SysUsage().(*syscall.Rusage)
	b.ReportMetric(float64(cpu)/float64(n), "cpu-ns/packet")
	b.ReportMetric(float64(captured(b, string(said)))/float64(n)*100, "%counted")
	b.ReportMetric(float64(n)/took.Seconds()/1000, "k/s")
	b.ReportMetric(float64(usage.Nvcsw)/took.Seconds(), "wakes/s")
	b.ReportMetric(float64(usage.Maxrss)/1024, "MiB")
	b.ReportMetric(0, "ns/op")
}

// spent is a process's processor time so far, of all its threads (proc(5),
// stat; by the scheduler's own nanoseconds).
func spent(b *testing.B, pid int) (sum time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range tasks {
		text, _ := os.ReadFile(file)
		var ns int64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

func readerCommand(ns *nettest.NS, reader string) *exec.Cmd {
	if reader == "tcpdump" {
		return ns.Command("tcpdump", "-i", "eth0", "-n", "-w", "/dev/null")
	}
	cmd := ns.Command("/proc/self/exe") // that of `ip`, until it is replaced
	self, _ := os.Executable()
	cmd.Args[len(cmd.Args)-1] = self
	cmd.Args = append(cmd.Args, "-test.run=^TestReader$")
	cmd.Env = append(os.Environ(), asReader+"="+reader)
	return cmd
}

var packetsCaptured = regexp.MustCompile(`(\d+) packets captured`)

func captured(b *testing.B, said string) int {
	m := packetsCaptured.FindStringSubmatch(said)
	if m == nil {
		b.Fatalf("no count in %q", said)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestReader is the reader of BenchmarkCPU when the environment says so, and
// else shows that both kinds of reader see the same packets.
func TestReader(t *testing.T) {
	reader := os.Getenv(asReader)
	if reader == "" {
		compareReaders(t)
		return
	}
	read := readRing
	if reader == "gopacket" {
		read = readGopacket
	}
	n, sum, err := read(reader)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "%d packets captured, sum %d\n", n, sum)
}

func readRing(shape string) (n, sum int, err error) {
	o := Options{Interfaces: []string{"eth0"}}
	var ms int
	if _, err := fmt.Sscanf(shape, "%d,%d,%d", &o.BlockSize, &o.Blocks, &ms); err != nil {
		return 0, 0, err
	}
	o.Retire = time.Duration(ms) * time.Millisecond
	rings, err := Open(o)
	if err != nil {
		return 0, 0, err
	}
	r := rings[0]
	defer func() { _ = r.Close() }()
	stop := onInterrupt(func() { _ = r.Stop() })
	defer stop()
	fmt.Fprintln(os.Stderr, "listening")
	var b capture.Batch
	for {
		if err := r.Next(&b); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, sum, err
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			n++
			sum += int(p.Wire) + int(p.Data[12])
		}
	}
}

// readGopacket reads as cheaply as that library offers it.
func readGopacket(string) (n, sum int, err error) {
	h, err := afpacket.NewTPacket(afpacket.OptInterface("eth0"), afpacket.OptPollTimeout(100*time.Millisecond),
		afpacket.OptBlockSize(DefaultBlockSize), afpacket.OptNumBlocks(DefaultBlocks), afpacket.OptBlockTimeout(DefaultRetire))
	if err != nil {
		return 0, 0, err
	}
	defer h.Close()
	over := make(chan struct{})
	stop := onInterrupt(func() { close(over) })
	defer stop()
	fmt.Fprintln(os.Stderr, "listening")
	for {
		data, ci, err := h.ZeroCopyReadPacketData()
		if err == nil {
			n++
			sum += ci.Length + int(data[12])
			continue
		}
		select {
		case <-over:
			return n, sum, nil
		default:
		}
	}
}

func onInterrupt(do func()) (stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	go func() {
		if _, ok := <-c; ok {
			do()
		}
	}()
	return func() { signal.Stop(c); close(c) }
}

// compareReaders gives the same packets to a ring and to gopacket/afpacket.
func compareReaders(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, small("eth0"))[0]
	var h *afpacket.TPacket
	var err error
	l.to.Do(func() {
		h, err = afpacket.NewTPacket(afpacket.OptInterface("eth0"), afpacket.OptPollTimeout(100*time.Millisecond))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	frames := mixed()
	newSender(t, l.from, "eth0").send(t, frames...)
	ours := rest(t, r)
	for i := range frames {
		data, ci, err := h.ReadPacketData()
		if err != nil || len(ours) != len(frames) {
			t.Fatalf("packet %d: %v; %d of %d", i, err, len(ours), len(frames))
		}
		o := ours[i]
		if !bytes.Equal(data, o.Data) || ci.Length != int(o.Wire) {
			t.Fatalf("packet %d: %x of %d, there %x of %d", i, o.Data, o.Wire, data, ci.Length)
		}
		if apart := ci.Timestamp.UnixNano() - o.Time; apart > 1e9 || apart < -1e9 {
			t.Fatalf("packet %d: %d ns apart", i, apart)
		}
	}
}
