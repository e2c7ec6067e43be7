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
	// PerHost is how many connections one address may have at once; 8. An
	// address that turns out to be this machine's own has no such bound.
	PerHost int
	// Dial opens connections; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ServerName names the host of an endpoint for TLS (RFC 6066 section 3);
	// nil and "" send none.
	ServerName func(exposure.Endpoint) string
	// Signatures know more than the own table; nil is none.
	Signatures Signatures
	// Progress hears after each endpoint how many of all are done; it is
	// called by one goroutine at a time. nil is nobody.
	Progress func(done, total int)
}

// Signatures recognise answers beside the own table, as those of an installed
// database. probe is the name of the probe that was answered (see Probes;
// "greeting" when nothing was asked, "http" for GET /). What Match returns
// fills what the own table left empty. It must honour ctx and be safe for use
// by several goroutines.
type Signatures interface {
	Match(ctx context.Context, proto, probe string, answer []byte) (exposure.Service, bool)
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
	if l.PerHost <= 0 {
		l.PerHost = 8
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
	g := &greeter{lim: lim.withDefaults(), table: loadTable(), found: map[exposure.Endpoint]exposure.Service{}}
	g.queue = newQueue(eps, g.lim.PerHost)
	defer context.AfterFunc(ctx, g.queue.close)()
	g.total = g.queue.left
	var running sync.WaitGroup
	for range min(g.lim.Parallel, g.total) {
		running.Go(func() { g.work(ctx) })
	}
	running.Wait()
	return g.found
}

// greeter is one call of Greet.
type greeter struct {
	lim   Limits
	table *table
	queue *queue

	mu          sync.Mutex
	found       map[exposure.Endpoint]exposure.Service
	done, total int
}

// work greets endpoints until none is left.
func (g *greeter) work(ctx context.Context) {
	for {
		e, ok := g.queue.next()
		if !ok {
			return
		}
		s, spoke := g.greet(ctx, e)
		g.queue.release(e)
		g.settle(e, s, spoke)
	}
}

func (g *greeter) settle(e exposure.Endpoint, s exposure.Service, spoke bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if spoke {
		g.found[e] = s
	}
	g.done++
	if g.lim.Progress != nil {
		g.lim.Progress(g.done, g.total)
	}
}

// greet recognises one endpoint.
func (g *greeter) greet(ctx context.Context, e exposure.Endpoint) (exposure.Service, bool) {
	ctx, cancel := context.WithTimeout(ctx, g.lim.Each)
	defer cancel()
	s, ok := g.recognise(ctx, e)
	return tidy(s), ok
}

// tidy bounds what is kept of hostile text.
func tidy(s exposure.Service) exposure.Service {
	if s.Name == ambiguous220 {
		s.Name = ""
	}
	for _, text := range []*string{&s.Product, &s.Version, &s.Info, &s.CPE} {
		*text = bounded(*text, maxField)
	}
	s.Banner = bounded(s.Banner, maxBanner)
	return s
}

// Names are the service names that the table knows, sorted: the values of
// Service.Name.
func Names() []string { return loadTable().names() }

// Protocol is the word by which the knowledge room knows what a service of
// that name speaks: dns for domain, vnc for rfb; most names are that word.
func Protocol(name string) string {
	if word, ok := loadTable().spoken[name]; ok {
		return word
	}
	return name
}
