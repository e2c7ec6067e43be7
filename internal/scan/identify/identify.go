package identify

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Limits bound a Greet; zero fields take the defaults.
type Limits struct {
	Each     time.Duration // for one endpoint in all; 3 s
	Wait     time.Duration // for one greeting or answer; 300 ms
	Bytes    int           // read of one greeting or answer; 4 KiB
	Parallel int           // endpoints at once; 32
	// Dial opens connections; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (l Limits) withDefaults() Limits {
	if l.Each <= 0 {
		l.Each = 3 * time.Second
	}
	if l.Wait <= 0 {
		l.Wait = 300 * time.Millisecond
	}
	if l.Bytes <= 0 {
		l.Bytes = 4 << 10
	}
	if l.Parallel <= 0 {
		l.Parallel = 32
	}
	if l.Dial == nil {
		l.Dial = new(net.Dialer).DialContext
	}
	return l
}

// maxBanner bounds Service.Banner, maxField the other texts, in bytes.
const (
	maxBanner = 256
	maxField  = 96
)

// Greet says what speaks at each TCP endpoint. An endpoint that said nothing,
// or could not be reached, is not in the result; one that spoke without being
// recognised has a Service without a name. A cancelled ctx gives what is known
// so far.
func Greet(ctx context.Context, eps []exposure.Endpoint, lim Limits) map[exposure.Endpoint]exposure.Service {
	g := &greeter{lim: lim.withDefaults(), table: loadTable()}
	found := map[exposure.Endpoint]exposure.Service{}
	var mu sync.Mutex
	var running sync.WaitGroup
	slots := make(chan struct{}, g.lim.Parallel)
	for _, e := range eps {
		if e.Proto != exposure.TCP || !e.Addr.IP.IsValid() || ctx.Err() != nil {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if s, ok := g.greet(ctx, e); ok {
				mu.Lock()
				defer mu.Unlock()
				found[e] = s
			}
		})
	}
	running.Wait()
	return found
}

// greeter is one call of Greet.
type greeter struct {
	lim   Limits
	table *table
}

// greet recognises one endpoint.
func (g *greeter) greet(ctx context.Context, e exposure.Endpoint) (exposure.Service, bool) {
	ctx, cancel := context.WithTimeout(ctx, g.lim.Each)
	defer cancel()
	t := &talk{greeter: g, ctx: ctx, address: exposure.HostPort(e.Addr, e.Port), port: e.Port}
	defer t.hangUp()
	s, ok := t.recognise()
	return tidy(s), ok
}

// tidy bounds what is kept of hostile text.
func tidy(s exposure.Service) exposure.Service {
	s.Product, s.Version, s.Info = bounded(s.Product, maxField), bounded(s.Version, maxField), bounded(s.Info, maxField)
	s.Banner = bounded(s.Banner, maxBanner)
	return s
}
