package scan

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

const (
	// reachWait is how long another machine has to answer.
	reachWait = time.Second
	// reachAtOnce bounds how many connections are tried at a time.
	reachAtOnce = 64
)

// Reach asks TCP endpoints of other machines or namespaces with one ordinary
// connection each, closed at once: the targets of this host's own DNAT rules.
// States come in the order of eps. It needs no privilege.
func Reach(ctx context.Context, eps []exposure.Endpoint) []exposure.PortState {
	out := make([]exposure.PortState, len(eps))
	slots := make(chan struct{}, reachAtOnce)
	var wait sync.WaitGroup
	for i, ep := range eps {
		slots <- struct{}{}
		wait.Go(func() {
			out[i] = reach(ctx, ep)
			<-slots
		})
	}
	wait.Wait()
	return out
}

func reach(ctx context.Context, ep exposure.Endpoint) exposure.PortState {
	st := exposure.PortState{Addr: ep.Addr.IP, Port: ep.Port, Proto: ep.Proto}
	begun := time.Now()
	d := net.Dialer{Timeout: reachWait}
	c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(ep.Addr.IP, ep.Port).String())
	st.RTT = time.Since(begun)
	if err == nil {
		_ = c.Close()
		st.State, st.Reason = exposure.Open, "syn-ack"
		return st
	}
	st.State, st.Reason = refusal(err)
	return st
}

// refusal tells what a failed connection says of the target. Without a route
// nothing was asked, so nothing is known.
func refusal(err error) (exposure.PortStateName, string) {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return exposure.Closed, "conn-refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return exposure.Filtered, "host-unreach"
	case errors.As(err, &timeout) && timeout.Timeout():
		return exposure.Filtered, "no-response"
	}
	return "", ""
}
