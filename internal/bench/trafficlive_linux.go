package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// The live load: so many packets at so many a second, to a host that the
// listener only overhears.
const (
	livePackets = 2_000_000
	liveRate    = 250_000
	overheard   = "10.88.0.99"
	liveSockets = 64
	livePorts   = 64
	livePayload = 64
	// settle is how long a listener is given to begin, and to end.
	settle = 1500 * time.Millisecond
)

// listener is a tool that listens while the load runs.
type listener struct {
	shown string
	argv  []string
	// counted reads how many packets it counted and how many it says it lost.
	counted func(out, errOut []byte) (seen, dropped uint64, err error)
}

// overhearing is one listener's run.
type overhearing struct {
	seen, dropped float64
	cpu           float64 // seconds of the process, user and system
	system        float64 // the part of it inside the kernel
	machine       float64 // seconds that all processors were busy
}

func trafficLive(ctx context.Context, o options) (result, error) {
	tools := liveTools(o)
	runs := make([][]overhearing, len(tools)+1) // the last is nobody
	err := inLab(func(l lab) error {
		if err := l.atTarget(func() error {
			return sh("ip neigh add " + overheard + " lladdr 02:00:00:00:00:01 dev t0")
		}); err != nil {
			return err
		}
		for range min(max(o.rounds/3, 2), 5) {
			for i := range runs {
				run, err := l.overhear(ctx, tools, i)
				if err != nil {
					return err
				}
				runs[i] = append(runs[i], run)
			}
		}
		return nil
	})
	if err != nil {
		return result{}, err
	}
	return liveResult(tools, runs), nil
}

func liveTools(o options) []listener {
	return []listener{
		{"tcpdump -i IF -w /dev/null", []string{"tcpdump", "-n", "-i", "s0", "-w", "/dev/null", "udp"}, tcpdumpCounted},
		{"portreeve traffic -i IF --by port --method packets", []string{o.bin, "traffic", "-i", "s0", "--by", "port", "--method", "packets", "--json"}, trafficCounted},
		{"portreeve traffic -i IF --by port (in the kernel)", []string{o.bin, "traffic", "-i", "s0", "--by", "port", "--method", "kernel", "--json"}, trafficCounted},
	}
}

// overhear runs the load while one tool listens, or none.
func (l lab) overhear(ctx context.Context, tools []listener, which int) (overhearing, error) {
	var cmd *exec.Cmd
	var out, errOut bytes.Buffer
	if which < len(tools) {
		cmd = exec.CommandContext(ctx, tools[which].argv[0], tools[which].argv[1:]...)
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Start(); err != nil {
			return overhearing{}, err
		}
		time.Sleep(settle)
	}
	before, err := busy()
	if err != nil {
		return overhearing{}, err
	}
	if err := l.atTarget(sendLoad); err != nil {
		return overhearing{}, err
	}
	time.Sleep(settle)
	after, err := busy()
	run := overhearing{machine: after - before}
	if err != nil || cmd == nil {
		return run, err
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		return run, err
	}
	_ = cmd.Wait() // interrupted is no failure
	run.system = cmd.ProcessState.SystemTime().Seconds()
	run.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	seen, dropped, err := tools[which].counted(out.Bytes(), errOut.Bytes())
	run.seen, run.dropped = float64(seen), float64(dropped)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", tools[which].shown, err, out.Bytes(), errOut.Bytes())
	}
	return run, err
}

// sendLoad sends the load at its rate, in portions of a millisecond.
func sendLoad() error {
	var conns []*ipv4.PacketConn
	for range liveSockets {
		c, err := net.ListenPacket("udp4", targetAddr+":0")
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		conns = append(conns, ipv4.NewPacketConn(c))
	}
	msgs := make([]ipv4.Message, liveRate/1000)
	for i := range msgs {
		msgs[i].Buffers = [][]byte{make([]byte, livePayload)}
		msgs[i].Addr = &net.UDPAddr{IP: net.ParseIP(overheard), Port: 5000 + i%livePorts}
	}
	begun := time.Now()
	for n := 0; n*len(msgs) < livePackets; n++ {
		if err := writeAll(conns[n%len(conns)], msgs[:min(len(msgs), livePackets-n*len(msgs))]); err != nil {
			return err
		}
		time.Sleep(time.Until(begun.Add(time.Duration(n+1) * time.Millisecond)))
	}
	return nil
}

func writeAll(c *ipv4.PacketConn, msgs []ipv4.Message) error {
	for len(msgs) > 0 {
		n, err := c.WriteBatch(msgs, 0)
		if err != nil && !errors.Is(err, syscall.ENOBUFS) {
			return fmt.Errorf("send the load: %w", err)
		}
		msgs = msgs[max(n, 0):]
	}
	return nil
}

// busy is how long all processors have worked, in seconds (proc(5), /proc/stat
// in hundredths).
func busy() (float64, error) {
	var user, nice, system, idle, iowait, irq, softirq float64
	line := field("/proc/stat", "cpu ")
	if _, err := fmt.Sscan(line, &user, &nice, &system, &idle, &iowait, &irq, &softirq); err != nil {
		return 0, fmt.Errorf("read /proc/stat: %w", err)
	}
	return (user + nice + system + irq + softirq) / 100, nil
}

var tcpdumpEnd = regexp.MustCompile(`(\d+) packets? (captured|dropped by kernel)`)

func tcpdumpCounted(_, errOut []byte) (seen, dropped uint64, err error) {
	for _, m := range tcpdumpEnd.FindAllSubmatch(errOut, -1) {
		n, _ := strconv.ParseUint(string(m[1]), 10, 64)
		if string(m[2]) == "captured" {
			seen = n
		} else {
			dropped = n
		}
	}
	if seen == 0 {
		err = errors.New("tcpdump counted nothing")
	}
	return seen, dropped, err
}

// trafficCounted sums the rows of the load's ports: what else is on the wire
// is not counted.
func trafficCounted(out, _ []byte) (seen, dropped uint64, err error) {
	var doc struct {
		Ports   []struct{ Port, Packets uint64 }
		Quality struct{ Dropped uint64 }
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return 0, 0, err
	}
	for _, p := range doc.Ports {
		if p.Port >= 5000 && p.Port < 5000+livePorts {
			seen += p.Packets
		}
	}
	return seen, doc.Quality.Dropped, nil
}

func liveResult(tools []listener, runs [][]overhearing) result {
	of := func(i int, what func(overhearing) float64) float64 {
		var all []float64
		for _, r := range runs[i] {
			all = append(all, what(r))
		}
		return median(all)
	}
	cpu := func(r overhearing) float64 { return r.cpu }
	machine := func(r overhearing) float64 { return r.machine }
	quiet := of(len(tools), machine)
	g := grid{head: []string{"tool", "", "counted", "dropped", "CPU of the process", "of it in the kernel", "CPU of the machine beyond the load's"}}
	for i, t := range tools {
		g.rows = append(g.rows, []string{t.shown, "", fmt.Sprintf("%.0f", of(i, func(r overhearing) float64 { return r.seen })),
			fmt.Sprintf("%.0f", of(i, func(r overhearing) float64 { return r.dropped })),
			fmt.Sprintf("%.2f s", of(i, cpu)), fmt.Sprintf("%.2f s", of(i, func(r overhearing) float64 { return r.system })), fmt.Sprintf("%.2f s", of(i, machine)-quiet)})
	}
	return result{situation: liveSituation, grids: []grid{g}, goals: liveGoals(of, cpu, machine, quiet)}
}

var liveSituation = fmt.Sprintf("%s UDP packets of 106 bytes at %s a second over a veth, %d conversations, addressed to a third host, so that nothing answers. "+
	"The machine's time beyond the load's holds what a program in the kernel costs, too; it is all processors' busy time less that of the same load with nobody listening.",
	thousands(livePackets), thousands(liveRate), liveSockets*livePorts)

func liveGoals(of func(int, func(overhearing) float64) float64, cpu, machine func(overhearing) float64, quiet float64) []reached {
	theirs, theirMachine := of(0, cpu), of(0, machine)-quiet
	var goals []reached
	for i, limit := range []float64{2, 1} {
		seen := of(i+1, func(r overhearing) float64 { return r.seen })
		name := []string{"packets", "in the kernel"}[i]
		ratio := of(i+1, cpu) / theirs
		goals = append(goals,
			reached{fmt.Sprintf("%s: at least 99.99 %% counted: %.4f %%", name, 100*seen/livePackets), seen >= 0.9999*livePackets},
			reached{fmt.Sprintf("%s: CPU time at most %.0f× tcpdump's: %.2f× of the process, %.2f× of the machine", name, limit, ratio, (of(i+1, machine)-quiet)/theirMachine), ratio <= limit})
	}
	return goals
}
