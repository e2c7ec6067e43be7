package identify

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// atOnce is how many connections one endpoint may have while several probes
// are tried, maxQuestions how many messages follow one recognition.
const (
	atOnce       = 3
	maxQuestions = 5
)

// ambiguous220 is the name under which the table files a bare "220 …", which
// SMTP and FTP servers both say.
const ambiguous220 = "220"

// recognise listens for a greeting and, where nothing is said, asks: first
// what the port suggests, else HTTP, then the rest, a few at once.
func (g *greeter) recognise(ctx context.Context, e exposure.Endpoint) (exposure.Service, bool) {
	t := &talk{greeter: g, ctx: ctx, endpoint: e}
	defer t.hangUp()
	if t.dial() != nil {
		return exposure.Service{}, false
	}
	probes, owned := g.table.order(e.Port)
	heard, ended := t.hear(g.table.greeting, t.patience(owned > 0))
	if len(heard) > 0 {
		return t.greeted(heard).Service, true
	}
	if ended || g.table.silent[e.Port] || len(probes) == 0 {
		return exposure.Service{}, false
	}
	// The likeliest goes alone: a server that is busy with a second client may
	// not answer it in time (making a key for TLS takes some a second).
	spoke, any := t.ask(probes[0])
	if spoke.Name != "" {
		return spoke, true
	}
	s, ok := g.askAll(t, probes[1:])
	if !ok || any && s.Name == "" && !s.TLS {
		return spoke, any
	}
	return s, ok
}

// patience is how long a greeting is awaited: where the port's protocol lets
// the client speak first, just long enough for another that greets.
func (t *talk) patience(clientFirst bool) time.Duration {
	if !clientFirst {
		return t.lim.Wait
	}
	return min(2*t.dialed+10*time.Millisecond, t.lim.Wait)
}

// askAll tries probes in order, a few at once, until one is answered by
// something known. The first talker may have a connection open.
func (g *greeter) askAll(first *talk, probes []*probe) (exposure.Service, bool) {
	ctx, cancel := context.WithCancel(first.ctx)
	defer cancel()
	a := &asking{probes: probes, cancel: cancel}
	var running sync.WaitGroup
	for range atOnce - 1 {
		if len(probes) < 2 || !g.queue.extra(first.endpoint) {
			break
		}
		running.Go(func() {
			defer g.queue.release(first.endpoint)
			a.run(&talk{greeter: g, ctx: ctx, endpoint: first.endpoint})
		})
	}
	t := &talk{greeter: g, ctx: ctx, endpoint: first.endpoint}
	if conn := first.release(); conn != nil {
		t.hold(conn)
	}
	a.run(t)
	running.Wait()
	return a.best, a.any
}

// asking is a list of probes being tried by several talkers.
type asking struct {
	mu     sync.Mutex
	probes []*probe
	best   exposure.Service
	any    bool
	cancel context.CancelFunc
}

// run tries probes until none is left or one is answered.
func (a *asking) run(t *talk) {
	defer t.hangUp()
	for {
		p := a.next()
		if p == nil || t.ctx.Err() != nil {
			return
		}
		if s, ok := t.ask(p); ok {
			a.tell(s)
		}
	}
}

func (a *asking) next() *probe {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.probes) == 0 {
		return nil
	}
	p := a.probes[0]
	a.probes = a.probes[1:]
	return p
}

// tell keeps the first service with a name, else the first that TLS hides,
// else the first that spoke.
func (a *asking) tell(s exposure.Service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.best.Name != "":
	case s.Name != "":
		a.best = s
		a.cancel()
	case !a.any || s.TLS && !a.best.TLS:
		a.best = s
	}
	a.any = true
}

// ask sends one probe, on the open connection where it is unused.
func (t *talk) ask(p *probe) (exposure.Service, bool) {
	if p.tls {
		return t.askTLS()
	}
	if t.conn == nil && t.dial() != nil {
		return exposure.Service{}, false
	}
	defer t.hangUp()
	if !t.say(p.message) {
		return exposure.Service{}, false
	}
	heard, _ := t.hear(p, t.lim.Wait)
	if len(heard) == 0 {
		return exposure.Service{}, false
	}
	if looksLikeTLS(heard) {
		// An HTTP server may speak of HTTPS without speaking it here.
		if s, ok := t.askTLS(); ok && (s.Name != "" || heard[0] != 'H') {
			return s, true
		}
		t.detail = nil
	}
	return t.answered(p, heard).Service, true
}

// answered recognises an answer: by the probe's own patterns, then by those
// of HTTP and of greetings (a server may be slow to greet), and asks on.
func (t *talk) answered(p *probe, heard []byte) recognised {
	s, ok := p.match(heard)
	foreign := !ok
	if !ok && bytes.HasPrefix(heard, []byte("HTTP/1.")) {
		s, ok = t.table.http.match(heard)
	}
	if !ok {
		s, ok = t.table.greeting.match(heard)
	}
	s.Via, s.foreign = "probe", foreign
	return t.goOn(p, heard, s, ok)
}

// greeted recognises a greeting.
func (t *talk) greeted(heard []byte) recognised {
	s, ok := t.table.greeting.match(heard)
	s.Via = "banner"
	return t.goOn(t.table.greeting, heard, s, ok)
}

// goOn asks what a recognised service tells beyond its first answer.
func (t *talk) goOn(p *probe, heard []byte, s recognised, ok bool) recognised {
	s.Banner, s.TLS, s.TLSDetail = string(heard), t.secure, t.detail
	if ok && !t.table.silent[t.endpoint.Port] {
		said := heard
		s, said = t.followOwn(p, s, said)
		s, said = t.followUp(s, said)
		s.Service = t.upgrade(s.Service, said)
	}
	s.Service = t.consult(p.name, heard, s.Service)
	return s
}

// consult lets the caller's signatures fill what the table left open.
func (t *talk) consult(probe string, heard []byte, s exposure.Service) exposure.Service {
	if t.lim.Signatures == nil || s.Product != "" && s.Version != "" && s.CPE != "" {
		return s
	}
	more, ok := t.lim.Signatures.Match(t.ctx, string(exposure.TCP), probe, heard)
	if !ok {
		return s
	}
	if s.Name == "" || s.Name == ambiguous220 {
		s.Name = more.Name
		if more.Via != "" {
			s.Via = more.Via
		}
	}
	return fill(s, more)
}

// followOwn asks the probe of the recognised service's own name, where another
// probe found it: it tells more (whether a password is asked for).
func (t *talk) followOwn(p *probe, s recognised, heard []byte) (recognised, []byte) {
	ownProbe := t.table.byName[s.Name]
	if ownProbe == nil || ownProbe == p || t.secure || !s.foreign && (s.Auth != "" || s.Product != "") {
		return s, heard
	}
	if t.reopen() != nil || !t.say(ownProbe.message) {
		return s, heard
	}
	answer, _ := t.hear(ownProbe, t.lim.Wait)
	if more, ok := ownProbe.match(answer); ok && (more.Name == s.Name || s.foreign) {
		more.Banner, more.TLS, more.TLSDetail, more.Via = string(answer), s.TLS, s.TLSDetail, "probe"
		return more, answer
	}
	s.then = ""
	return s, heard
}

// followUp asks the further questions of the table.
func (t *talk) followUp(s recognised, heard []byte) (recognised, []byte) {
	for range maxQuestions {
		q := t.table.follow[s.then]
		if q == nil || t.ctx.Err() != nil {
			break
		}
		if q.again {
			s.Service = t.upgrade(s.Service, heard)
		}
		if (q.again || t.conn == nil) && t.reopen() != nil || !t.say(q.message) {
			break
		}
		answer, _ := t.hear(q, t.lim.Wait)
		s.then = ""
		more, ok := q.match(answer)
		if !ok {
			break
		}
		heard = append(heard[:len(heard):len(heard)], answer...)
		if more.then != more.Name {
			s.then = more.then // an answer leads on only where its pattern says so
		}
		s.Service = merge(s.Service, more.Service)
	}
	return s, heard
}

// reopen makes a new connection like the one before.
func (t *talk) reopen() error {
	if t.secure {
		return t.shake(http1)
	}
	return t.dial()
}
