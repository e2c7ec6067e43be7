package scan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/udp"
)

// Re-check timing. The pauses differ so that a listener that comes and goes
// in a rhythm is not met at the same beat each time.
const (
	recheckTries = 3
	recheckGrace = 300 * time.Millisecond
	recheckPause = 70 * time.Millisecond
)

// AskOptions say how Ask asks.
type AskOptions struct {
	// Method is Auto, SYN or Connect: that of the finding under re-check.
	Method string
	// Tries is how often each endpoint is asked, whatever it answers; 3 if 0.
	Tries int
	// Grace is how long a raw try listens for a late SYN-ACK; 300 ms if 0.
	Grace time.Duration
	// Queues is as in SelfOptions.
	Queues QueueWatch
}

// Answer is what one endpoint said in all tries together. The state is the
// best that any try heard (open before the others, then the last).
type Answer struct {
	exposure.PortState
	Endpoint exposure.Endpoint // as asked
	Tries    int               // tries that heard or settled anything
	Opens    int               // tries that found it open
}

// Always tells that every try found the endpoint open.
func (a Answer) Always() bool { return a.Tries > 0 && a.Opens == a.Tries }

// Ask asks single endpoints of this host again, several times with pauses,
// and gives one Answer per endpoint in order. An endpoint of which nothing
// could be learned has Tries 0 and no state. Addresses must be concrete; TCP
// and UDP only. A cancelled ctx gives what is known so far.
func Ask(ctx context.Context, eps []exposure.Endpoint, o AskOptions) ([]Answer, error) {
	if o.Tries <= 0 {
		o.Tries = recheckTries
	}
	if o.Grace <= 0 {
		o.Grace = recheckGrace
	}
	answers := make([]Answer, len(eps))
	index := map[exposure.Endpoint][]*Answer{}
	var tcp, datagram []exposure.Endpoint
	for i, e := range eps {
		e, err := askable(e)
		if err != nil {
			return nil, err
		}
		answers[i].Endpoint = eps[i]
		index[e] = append(index[e], &answers[i])
		if e.Proto == exposure.TCP {
			tcp = append(tcp, e)
		} else {
			datagram = append(datagram, e)
		}
	}
	r := &recheck{o: o, tcp: groupTCP(tcp), udp: datagram, index: index}
	for try := range o.Tries {
		if try > 0 {
			pause(ctx, recheckPause+rand.N(recheckPause))
		}
		if ctx.Err() != nil {
			break
		}
		if err := r.try(ctx); err != nil {
			return answers, err
		}
	}
	return answers, nil
}

// ErrAsk is an endpoint that Ask cannot ask.
var ErrAsk = errors.New("only TCP and UDP endpoints with a unicast address and a port can be asked")

// askable is the endpoint as the transports name it.
func askable(e exposure.Endpoint) (exposure.Endpoint, error) {
	ip := e.Addr.IP.Unmap()
	if e.Proto != exposure.TCP && e.Proto != exposure.UDP || e.Port == 0 || !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
		return e, fmt.Errorf("%w, not %s", ErrAsk, e)
	}
	return exposure.Endpoint{Proto: e.Proto, Addr: exposure.IPAddress(ip), Port: e.Port}, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// recheck is one call of Ask.
type recheck struct {
	o     AskOptions
	tcp   []*group
	udp   []exposure.Endpoint
	index map[exposure.Endpoint][]*Answer
}

// try asks everything once.
func (r *recheck) try(ctx context.Context) error {
	for _, g := range r.tcp {
		m := manner{method: r.o.Method, queues: r.o.Queues, recheck: true, grace: r.o.Grace, rounds: 1}
		if _, err := sweepTCP(ctx, m, []netip.Addr{g.addr}, g.ports, r.heard); err != nil {
			return fmt.Errorf("ask %s again: %w", g.addr, err)
		}
	}
	if len(r.udp) == 0 {
		return nil
	}
	asker := udp.Asker{Tries: 1}
	if _, _, err := asker.Ask(ctx, r.udp, r.heard); err != nil {
		return fmt.Errorf("ask UDP endpoints again: %w", err)
	}
	return nil
}

func (r *recheck) heard(p exposure.PortState) {
	for _, a := range r.index[p.Endpoint()] {
		a.Tries++
		if p.State == exposure.Open {
			a.Opens++
		}
		if p.State == exposure.Open || a.Opens == 0 {
			a.PortState = p
		}
	}
}
