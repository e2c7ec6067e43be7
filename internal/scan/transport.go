package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/connect"
	"github.com/portreeve/portreeve/internal/scan/syn"
)

// Transport asks TCP ports one way. Sweep asks every port of every address
// and tells each settled state once; a port that is not told was not asked or
// stays unknown, and a gap says why. A sweep that could not begin gives an
// error; a cancelled ctx is a gap.
type Transport interface {
	Sweep(ctx context.Context, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error)
}

// Methods of asking TCP ports.
const (
	Auto    = "auto"
	SYN     = "syn"
	Connect = "connect"
)

// ErrMethod is a method that is none of Auto, SYN and Connect.
var ErrMethod = errors.New("the scan method must be auto, syn or connect")

// QueueWatch tells how full the packet sockets of other programs are; the raw
// sweep paces itself by it.
type QueueWatch = syn.QueueWatch

// Queue is one such socket's queue.
type Queue = syn.Queue

// manner is how one sweep is made.
type manner struct {
	method   string
	queues   QueueWatch
	progress func(n int)
	recheck  bool
	grace    time.Duration
	rounds   int
}

// tally is what one sweep gave beside the port states.
type tally struct {
	stats exposure.ScanStats
	gaps  []exposure.Gap
}

// sweepTCP asks by raw SYN where that is wanted and allowed, else by connect.
func sweepTCP(ctx context.Context, m manner, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) (tally, error) {
	if m.method == "" {
		m.method = Auto
	}
	var raw, plain Transport = m.syn(), m.connect()
	switch m.method {
	case SYN:
		return sweepBy(ctx, raw, addrs, ports, tell)
	case Connect:
		return sweepBy(ctx, plain, addrs, ports, tell)
	case Auto:
		t, err := sweepBy(ctx, raw, addrs, ports, tell)
		if err == nil {
			return t, nil
		}
		why := err
		t, err = sweepBy(ctx, plain, addrs, ports, tell)
		t.gaps = append(t.gaps, noRaw(why))
		return t, err
	}
	return tally{}, fmt.Errorf("%w, not %q", ErrMethod, m.method)
}

func sweepBy(ctx context.Context, t Transport, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) (tally, error) {
	stats, gaps, err := t.Sweep(ctx, addrs, ports, tell)
	return tally{stats, gaps}, err
}

func (m manner) syn() *syn.Transport {
	return &syn.Transport{Queues: m.queues, Progress: m.progress,
		Every: m.recheck, Grace: m.grace, Rounds: m.rounds}
}

func (m manner) connect() *connect.Transport {
	return &connect.Transport{Progress: m.progress}
}

// noRaw says what a connect sweep leaves out.
func noRaw(why error) exposure.Gap {
	text := "asked with connect, which cannot see a program that answers from a packet socket"
	if errors.Is(why, fs.ErrPermission) {
		text += "; CAP_NET_RAW (run as root) would show it"
	} else {
		text += fmt.Sprintf(" (a raw SYN sweep was not possible: %v)", why)
	}
	return exposure.Gap{View: "network", Why: text}
}
