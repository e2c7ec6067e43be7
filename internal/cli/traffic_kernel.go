package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/live"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/meter"
)

const (
	// meterPace is how often the counters are looked at for packets that the
	// kernel's program does not open.
	meterPace = 200 * time.Millisecond
	// meterRoom is how often silent conversations are taken out of the
	// kernel, and meterIdle what silent means: a flow's time-out.
	meterRoom = 20 * time.Second
	meterIdle = time.Minute
)

// kernelTraffic counts inside the kernel. done is false where it cannot be:
// then packets are looked at, unless the person asked for the kernel.
func kernelTraffic(ctx context.Context, s *streams, f *trafficFlags) (done bool, err error) {
	m, err := meter.Open(meter.Options{Interfaces: f.ifaces, Promiscuous: !f.noPromisc, Idle: meterIdle})
	if err != nil {
		return f.method == methodKernel, meterError(err)
	}
	defer func() { _ = m.Close() }()
	table, err := f.listenersOf(ctx, s, true)
	if err != nil {
		return true, err
	}
	c := &kernelCount{meter: m, sink: newFlowSink(s, f, table), f: f, begun: time.Now()}
	return true, c.run(ctx, s)
}

func meterError(err error) error {
	hint := "without --method kernel packets are looked at instead"
	if errors.Is(err, fs.ErrPermission) {
		hint = "run as root, or give the program CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW"
	}
	return &exitError{code: exitUsage, err: err, hint: hint}
}

// kernelCount is a run that counts inside the kernel, and goes on with packets
// once there is something to open.
type kernelCount struct {
	f     *trafficFlags
	meter *meter.Meter
	sink  *flowSink
	begun time.Time
	lost  capture.Stats
	notes []string
}

func (c *kernelCount) run(ctx context.Context, s *streams) error {
	ctx, cancel := c.f.until(ctx)
	defer cancel()
	wrapped, err := c.watch(ctx)
	if err != nil {
		return err
	}
	src := &source{live: true, begun: c.begun}
	if wrapped && ctx.Err() == nil {
		if src, err = c.f.listen(nil); err != nil {
			return err
		}
	}
	if err := c.finish(); err != nil {
		return err
	}
	gaps, err := incomplete(traffic.Run(ctx, src.rings, c.sink.ask(traffic.Options{Outer: c.f.tunnels == "outer", Thrifty: true}), c.sink))
	if err != nil {
		return err
	}
	if gone := c.gone(); gone != "" {
		gaps, _ = incomplete(&live.Error{Interface: gone, Op: "the interface disappeared"})
	}
	src.before = c.lost
	c.sink.notes = c.notes
	return s.finish(c.sink.tell(s, src, gaps), gaps)
}

// watch waits for the end, or for packets that have others inside when those
// are wanted.
func (c *kernelCount) watch(ctx context.Context) (wrapped bool, err error) {
	room := time.Now()
	for sleep(ctx, meterPace) {
		st, err := c.meter.Stats()
		if err != nil {
			return false, err
		}
		if st.Wrapped > 0 || st.Tunnels > 0 && c.f.tunnels != "outer" {
			c.notes = append(c.notes, fmt.Sprintf("packets at the beginning of the tunnels' traffic that are counted by their outer addresses: %d", st.Wrapped+st.Tunnels))
			return true, nil
		}
		if time.Since(room) > meterRoom {
			if err := c.meter.Read(c.evicted); err != nil {
				return false, err
			}
			room = time.Now()
		}
	}
	return false, nil
}

// evicted takes what the kernel forgets.
func (c *kernelCount) evicted(r *meter.Record) bool {
	if r.Evicted {
		c.add(r)
	}
	return true
}

func (c *kernelCount) add(r *meter.Record) bool {
	c.sink.addTally(tallyOf(r))
	return true
}

// tallyOf turns a record so that its first sender comes first.
func tallyOf(r *meter.Record) *flow.Tally {
	t := &flow.Tally{
		Proto: r.Proto, IPv6: r.IPv6, Src: r.A, Dst: r.B, SrcPort: r.PortA, DstPort: r.PortB,
		Packets: [2]uint64{r.PacketsAB, r.PacketsBA}, Bytes: [2]uint64{r.BytesAB, r.BytesBA},
		SYN: [2]bool{r.SYNFromA, r.SYNFromB}, SYNACK: [2]bool{r.SYNACKFromA, r.SYNACKFromB},
		First: r.First, Last: r.Last, HasVLAN: r.HasVLAN, VLAN: r.VLAN,
	}
	if !r.FirstFromA {
		t.Src, t.Dst, t.SrcPort, t.DstPort = t.Dst, t.Src, t.DstPort, t.SrcPort
		t.Packets[0], t.Packets[1] = t.Packets[1], t.Packets[0]
		t.Bytes[0], t.Bytes[1] = t.Bytes[1], t.Bytes[0]
		t.SYN[0], t.SYN[1] = t.SYN[1], t.SYN[0]
		t.SYNACK[0], t.SYNACK[1] = t.SYNACK[1], t.SYNACK[0]
	}
	return t
}

// finish stops counting in the kernel and takes all that is there.
func (c *kernelCount) finish() error {
	if err := c.meter.Stop(); err != nil {
		return err
	}
	if err := c.meter.Read(c.add); err != nil {
		return err
	}
	st, err := c.meter.Stats()
	if err != nil {
		return err
	}
	c.lost = capture.Stats{Received: st.Packets, Dropped: st.Dropped, Known: true}
	c.sink.table.AddQuality(flow.Quality{
		Packets: st.Undecoded + st.Portless + st.Other + st.Orphans, Undecoded: st.Undecoded + st.Portless,
		Other: st.Other, Fragments: st.Fragments, Orphans: st.Orphans, Giants: st.Giants,
	})
	return nil
}

func (c *kernelCount) gone() string {
	st, err := c.meter.Stats()
	if err != nil || len(st.Gone) == 0 {
		return ""
	}
	return st.Gone[0]
}
