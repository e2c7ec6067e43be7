package meter

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

func BenchmarkOpen(b *testing.B) {
	ns := nettest.New(b)
	ns.Do(func() {
		for b.Loop() {
			m, err := Open(Options{Interfaces: []string{"lo"}})
			if err != nil {
				b.Error(err)
				return
			}
			_ = m.Close()
		}
	})
}

// BenchmarkBesideTcpdump sends frames at a steady rate over a veth, to nobody,
// to tcpdump, and to a meter. The receiving end's kernel work is done on the
// sending thread, so what tcpdump's tap and the meter's program cost is how
// much more that thread spends than without (the least of three, since others
// use the machine as well). To this comes the process: tcpdump's whole, and of
// the meter opening and reading. program-ns is the same as the kernel's own
// account of BPF programs has it (BPF_STATS_RUN_TIME), some 85 ns of which an
// empty program has as well.
func BenchmarkBesideTcpdump(b *testing.B) {
	for _, flows := range []int{1, 1000, 200_000} {
		b.Run(fmt.Sprintf("%d-flows", flows), func(b *testing.B) {
			for b.Loop() {
				besideTcpdump(b, flows)
			}
		})
	}
}

const (
	benchPackets = 400_000
	benchRate    = 250_000
)

// cost is processor time for the load.
type cost struct{ sender, process, program time.Duration }

func (c *cost) least(d cost) {
	c.sender, c.process, c.program = min(c.sender, d.sender), min(c.process, d.process), min(c.program, d.program)
}

func besideTcpdump(b *testing.B, flows int) {
	l := newLab(b)
	none := cost{time.Hour, time.Hour, time.Hour}
	tcpdump, meter := none, none
	for range 3 {
		none.least(cost{sender: flood(b, openPort(b, l.far, "eth0"), flows)})
		tcpdump.least(tcpdumpCost(b, l, flows))
		meter.least(meterCost(b, l, flows))
	}
	ns := func(name string, d time.Duration) { b.ReportMetric(float64(d)/benchPackets, name) }
	ns("tcpdump-kernel-ns", tcpdump.sender-none.sender)
	ns("tcpdump-process-ns", tcpdump.process)
	ns("kernel-ns", meter.sender-none.sender)
	ns("process-ns", meter.process)
	ns("program-ns", meter.program)
	all := func(c cost) float64 { return float64(c.sender - none.sender + c.process) }
	b.ReportMetric(all(meter)/all(tcpdump), "x-tcpdump")
	b.ReportMetric(0, "ns/op")
}

func tcpdumpCost(b *testing.B, l *lab, flows int) (c cost) {
	cmd := l.near.Command("tcpdump", "-i", "eth0", "-n", "-w", "/dev/null")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "listening") {
		b.Fatal(line, err)
	}
	c.sender = flood(b, openPort(b, l.far, "eth0"), flows)
	time.Sleep(1500 * time.Millisecond) // its block time-out is a second
	_ = cmd.Process.Signal(os.Interrupt)
	said, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	var seen int
	if _, err := fmt.Sscanf(strings.TrimSpace(string(said)), "%d packets captured", &seen); err != nil {
		b.Fatalf("%s: %v", said, err)
	}
	b.ReportMetric(float64(seen)/benchPackets*100, "%tcpdump")
	c.process = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return c
}

func meterCost(b *testing.B, l *lab, flows int) (c cost) {
	m, opening := openTimed(b, l.near)
	c.sender = flood(b, openPort(b, l.far, "eth0"), flows)
	counted, reading := readTimed(b, m)
	b.ReportMetric(float64(counted)/benchPackets*100, "%meter")
	c.process = opening + reading
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	flood(b, openPort(b, l.far, "eth0"), flows)
	c.program = programTime(b, m)
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
	return c
}

func openTimed(b *testing.B, ns *nettest.NS) (m *Meter, took time.Duration) {
	var err error
	ns.Do(func() {
		begun := threadTime()
		m, err = Open(Options{Interfaces: []string{"eth0"}, Promiscuous: true})
		took = threadTime() - begun
	})
	if err != nil {
		b.Fatal(err)
	}
	return m, took
}

func readTimed(b *testing.B, m *Meter) (packets uint64, took time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	time.Sleep(100 * time.Millisecond)
	begun := threadTime()
	if err := m.Read(func(r *Record) bool { packets += r.PacketsAB + r.PacketsBA; return true }); err != nil {
		b.Fatal(err)
	}
	return packets, threadTime() - begun
}

// threadTime is the calling thread's processor time.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

func programTime(b *testing.B, m *Meter) (sum time.Duration) {
	for _, h := range m.hooks {
		info, err := h.link.Info()
		if err != nil {
			b.Fatal(err)
		}
		prog, err := ebpf.NewProgramFromID(info.Program)
		if err != nil {
			b.Fatal(err)
		}
		stats, err := prog.Stats()
		if err != nil {
			b.Fatal(err)
		}
		_ = prog.Close()
		sum += stats.Runtime
	}
	return sum
}

// flood sends UDP frames of many conversations, each drawn evenly, at a rate,
// and gives the processor time that took.
func flood(b *testing.B, p *port, flows int) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	random := rand.New(rand.NewPCG(1, 1))
	frames := make([][]byte, 64)
	iovs, msgs := make([]unix.Iovec, len(frames)), make([]mmsghdr, len(frames))
	for i := range frames {
		frames[i] = ether(0x0800, ip4(17, "10.9.0.2", "10.9.0.1", udp(0, 0, strings.Repeat("x", 100))))
		iovs[i].Base = &frames[i][0]
		iovs[i].SetLen(len(frames[i]))
		msgs[i].hdr.Iov = &iovs[i]
		msgs[i].hdr.SetIovlen(1)
	}
	begun, spent := time.Now(), threadTime()
	for sent := 0; sent < benchPackets; {
		n := min(len(frames), benchPackets-sent)
		for i := range n {
			flow := random.IntN(flows)
			binary.BigEndian.PutUint16(frames[i][28:], uint16(flow>>16)) // in the source address
			binary.BigEndian.PutUint16(frames[i][34:], uint16(flow))
		}
		got, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(n), 0, 0, 0)
		if errno != 0 {
			b.Fatal(errno)
		}
		sent += int(got)
		time.Sleep(time.Until(begun.Add(time.Duration(sent) * time.Second / benchRate)))
	}
	b.ReportMetric(benchPackets/time.Since(begun).Seconds()/1000, "k/s")
	return threadTime() - spent
}

// mmsghdr is struct mmsghdr (sendmmsg(2)); the compiler pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}
