package identify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// talk is the conversation with one endpoint.
type talk struct {
	*greeter
	ctx     context.Context
	address string
	port    uint16

	conn   net.Conn // nil: none open
	secure bool     // conn is inside TLS
	cert   string   // subject of the certificate
}

func (t *talk) hangUp() {
	if t.conn != nil {
		_ = t.conn.Close()
		t.conn = nil
	}
	t.secure = false
}

// dial opens a connection with an absolute deadline.
func (t *talk) dial() error {
	t.hangUp()
	conn, err := t.lim.Dial(t.ctx, "tcp", t.address)
	if err != nil {
		return err
	}
	if end, ok := t.ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	t.conn = conn
	return nil
}

// hear reads until something is recognised, the wait is over, the bound is
// reached or the server hangs up. ended tells the last.
func (t *talk) hear(wait time.Duration, enough func([]byte) bool) (heard []byte, ended bool) {
	end := time.Now().Add(wait)
	if limit, ok := t.ctx.Deadline(); ok && limit.Before(end) {
		end = limit
	}
	_ = t.conn.SetReadDeadline(end)
	buf := make([]byte, t.lim.Bytes)
	for n := 0; n < len(buf); {
		k, err := t.conn.Read(buf[n:])
		n += k
		heard = buf[:n]
		if k > 0 && enough(heard) {
			return heard, false
		}
		if err != nil {
			return heard, !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
	return heard, false
}

// say sends a message.
func (t *talk) say(message string) bool {
	end := time.Now().Add(t.lim.Wait)
	_ = t.conn.SetWriteDeadline(end)
	_, err := t.conn.Write([]byte(message))
	return err == nil
}

// recognise greets and, where nothing is said, asks.
func (t *talk) recognise() (exposure.Service, bool) {
	if t.dial() != nil {
		return exposure.Service{}, false
	}
	heard, ended := t.hear(t.lim.Wait, func(b []byte) bool { _, ok := t.table.greeting.match(b); return ok })
	if len(heard) > 0 {
		return t.greeted(heard), true
	}
	if ended || t.table.silent[t.port] {
		return exposure.Service{}, false
	}
	spoke := exposure.Service{}
	var any bool
	for _, p := range t.table.order(t.port) {
		if t.ctx.Err() != nil {
			break
		}
		s, ok := t.ask(p)
		if ok && s.Name != "" {
			return s, true
		}
		if ok && !any {
			spoke, any = s, true
		}
	}
	return spoke, any
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
	heard, _ := t.hear(t.lim.Wait, func(b []byte) bool { _, ok := p.match(b); return ok })
	if len(heard) == 0 {
		return exposure.Service{}, false
	}
	if looksLikeTLS(heard) {
		if s, ok := t.askTLS(); ok {
			return s, true
		}
	}
	return t.answered(p, heard)
}

// answered recognises an answer: by the probe's own patterns, then by those
// of greetings (a server may be slow to greet), then by asking on.
func (t *talk) answered(p *probe, heard []byte) (exposure.Service, bool) {
	s, ok := p.match(heard)
	if !ok {
		s, ok = t.table.greeting.match(heard)
	}
	s.Banner, s.TLS = string(heard), t.secure
	if !ok {
		s.Via = "probe"
		return s, true
	}
	if p.name != s.Name && !t.secure {
		s = t.follow(s)
	}
	return s, true
}

// follow asks the probe of the recognised service's own name, which tells more
// (whether a password is asked for).
func (t *talk) follow(s exposure.Service) exposure.Service {
	p := t.table.byName[s.Name]
	if p == nil || s.Auth != "" || t.dial() != nil || !t.say(p.message) {
		return s
	}
	heard, _ := t.hear(t.lim.Wait, func(b []byte) bool { _, ok := p.match(b); return ok })
	if more, ok := p.match(heard); ok && more.Name == s.Name {
		more.Banner = s.Banner
		return more
	}
	return s
}

// greeted recognises a greeting.
func (t *talk) greeted(heard []byte) exposure.Service {
	s, ok := t.table.greeting.match(heard)
	s.Banner, s.TLS, s.Via = string(heard), t.secure, "banner"
	switch {
	case !ok:
		return s
	case s.Name == "rfb":
		s.Auth = t.vncAuth()
	case s.Name == ambiguous220:
		s.Name = t.tell220()
	}
	return s
}

// ambiguous220 is the name under which the table files a bare "220 …", which
// SMTP and FTP servers both say.
const ambiguous220 = "220"

// tell220 asks EHLO, which an SMTP server answers with 250.
func (t *talk) tell220() string {
	if !t.say("EHLO localhost\r\n") {
		return ""
	}
	heard, _ := t.hear(t.lim.Wait, func(b []byte) bool { return bytes.IndexByte(b, '\n') >= 0 })
	switch {
	case bytes.HasPrefix(heard, []byte("250")):
		return "smtp"
	case bytes.HasPrefix(heard, []byte("5")):
		return "ftp"
	}
	return ""
}

// vncAuth completes the version handshake of RFC 6143 section 7.1.1 and reads
// which security types are offered: 1 is none.
func (t *talk) vncAuth() string {
	if !t.say("RFB 003.008\n") {
		return ""
	}
	heard, _ := t.hear(t.lim.Wait, func(b []byte) bool { return len(b) > 1 && len(b) > int(b[0]) })
	if len(heard) < 2 || heard[0] == 0 || len(heard) <= int(heard[0]) {
		return ""
	}
	if bytes.IndexByte(heard[1:1+int(heard[0])], 1) >= 0 {
		return "none"
	}
	return "required"
}

// looksLikeTLS tells an alert or handshake record, or an HTTP server that says
// that it wants HTTPS.
func looksLikeTLS(b []byte) bool {
	if len(b) >= 3 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 && b[2] <= 4 {
		return true
	}
	return bytes.HasPrefix(b, []byte("HTTP/1.")) && bytes.Contains(b, []byte(" 400 ")) &&
		bytes.Contains(bytes.ToUpper(b), []byte("HTTPS"))
}

// maxHandshake bounds the bytes read from a server that claims to speak TLS.
const maxHandshake = 128 << 10

// askTLS shakes hands and recognises what speaks inside.
func (t *talk) askTLS() (exposure.Service, bool) {
	s, ok := t.shake()
	if !ok || t.conn == nil {
		return s, ok
	}
	defer t.hangUp()
	heard, _ := t.hear(t.lim.Wait/2, func(b []byte) bool { _, ok := t.table.greeting.match(b); return ok })
	inner := exposure.Service{}
	if len(heard) > 0 {
		inner = t.greeted(heard)
	} else if http := t.table.byName["http"]; t.say(http.message) {
		heard, _ = t.hear(t.lim.Wait, func(b []byte) bool { _, ok := http.match(b); return ok })
		if len(heard) > 0 {
			inner, _ = t.answered(http, heard)
		}
	}
	inner.TLS = true
	if inner.Via == "" || inner.Name == "" {
		inner.Via = "tls"
	}
	if inner.Info == "" {
		inner.Info = t.cert
	}
	return inner, true
}

// shake opens a connection inside TLS. A server that answers with a TLS record
// but refuses the handshake speaks TLS all the same: then conn is nil.
func (t *talk) shake() (exposure.Service, bool) {
	if t.dial() != nil {
		return exposure.Service{}, false
	}
	wire := &bounding{Conn: t.conn, left: maxHandshake}
	ctx, cancel := context.WithTimeout(t.ctx, 3*t.lim.Wait)
	defer cancel()
	// The certificate is looked at, not trusted: nothing secret is sent.
	client := tls.Client(wire, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}) //nolint:gosec
	if err := client.HandshakeContext(ctx); err != nil {
		t.hangUp()
		spoke := looksLikeTLS(wire.first)
		return exposure.Service{TLS: spoke, Via: "tls"}, spoke
	}
	t.conn, t.secure = client, true
	if certs := client.ConnectionState().PeerCertificates; len(certs) > 0 && certs[0].Subject.CommonName != "" {
		t.cert = "certificate for " + certs[0].Subject.CommonName
	}
	return exposure.Service{}, true
}

// bounding limits what is read from a connection and keeps its first bytes.
type bounding struct {
	net.Conn
	left  int
	first []byte
}

var errTooMuch = errors.New("the server sent more than a handshake takes")

func (b *bounding) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	if room := 8 - len(b.first); room > 0 {
		b.first = append(b.first, p[:min(n, room)]...)
	}
	return n, err
}

// bounded cuts a text and makes it valid UTF-8.
func bounded(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "\uFFFD")
}
