package identify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// maxHandshake bounds the bytes read from a server that claims to speak TLS,
// maxNames the names kept of its certificate.
const (
	maxHandshake = 128 << 10
	maxNames     = 32
)

// alpn is what protocols are offered inside TLS (RFC 7301).
type alpn int

const (
	anyWeb alpn = iota // h2 and http/1.1, to see which is chosen
	http1
	noALPN
)

func (a alpn) protocols() []string {
	return map[alpn][]string{anyWeb: {"h2", "http/1.1"}, http1: {"http/1.1"}}[a]
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

// errRefused is a handshake that the server answered in TLS, but did not
// complete.
var errRefused = errors.New("speaks TLS, but refuses the handshake")

// askTLS shakes hands and recognises what speaks inside.
func (t *talk) askTLS() (exposure.Service, bool) {
	p := t.table.byName[t.table.inside[t.endpoint.Port]]
	offer := anyWeb
	if p != nil && p != t.table.http {
		offer = noALPN
	}
	switch err := t.shake(offer); {
	case errors.Is(err, errRefused):
		return exposure.Service{TLS: true, TLSDetail: t.detail, Via: "tls"}, true
	case err != nil:
		return exposure.Service{}, false
	}
	defer t.hangUp()
	detail := t.detail
	inner := t.lookInside(p)
	t.fillTLS(&inner, detail)
	return inner, true
}

// fillTLS says how what is inside was reached.
func (t *talk) fillTLS(s *exposure.Service, detail *exposure.TLSDetail) {
	s.TLS, s.TLSDetail = true, detail
	if s.Via == "" || s.Name == "" {
		s.Via = "tls"
	}
	if s.Name == "" && detail.ALPN == "h2" {
		s.Name, s.Info = "http", "HTTP/2 only"
	}
	if s.Info == "" && detail.Subject != "" {
		s.Info = "certificate for " + detail.Subject
	}
}

// lookInside asks inside TLS: the port's own question, else what a greeting or
// HTTP tells.
func (t *talk) lookInside(p *probe) exposure.Service {
	web := t.detail.ALPN != ""
	if t.detail.ALPN == "h2" && t.shake(http1) != nil {
		return exposure.Service{}
	}
	if p == nil && !web {
		if heard, ended := t.hear(t.table.greeting, t.lim.Wait/2); len(heard) > 0 || ended {
			return t.greetedInside(heard)
		}
	}
	if p == nil {
		p = t.table.http
	}
	s := t.askInside(p)
	if s.Name == "" && p != t.table.http && t.reopen() == nil {
		s = t.askInside(t.table.http)
	}
	return s
}

func (t *talk) greetedInside(heard []byte) exposure.Service {
	if len(heard) == 0 {
		return exposure.Service{}
	}
	return t.greeted(heard).Service
}

func (t *talk) askInside(p *probe) exposure.Service {
	if !t.say(p.message) {
		return exposure.Service{}
	}
	heard, _ := t.hear(p, t.lim.Wait)
	if len(heard) == 0 {
		return exposure.Service{}
	}
	return t.answered(p, heard).Service
}

// shake opens a connection inside TLS. A server that answers in TLS but does
// not complete the handshake gives errRefused.
func (t *talk) shake(offer alpn) error {
	if !t.fresh {
		if err := t.dial(); err != nil {
			return err
		}
	}
	err := t.secureConn(offer)
	if errors.Is(err, errNoProtocol) && offer != noALPN {
		return t.shake(noALPN)
	}
	return err
}

// errNoProtocol is the alert of RFC 7301 section 3.2.
var errNoProtocol = errors.New("speaks another application protocol")

// refusal tells by the first bytes that came why a handshake failed: an alert
// record is type 21, version, length 2, level and description.
func refusal(first []byte) error {
	switch {
	case !looksLikeTLS(first):
		return nil
	case len(first) >= 7 && first[0] == 0x15 && first[6] == 120:
		return errors.Join(errRefused, errNoProtocol)
	}
	return errRefused
}

// secureConn turns the open connection into TLS.
func (t *talk) secureConn(offer alpn) error {
	wire := &bounding{Conn: t.conn, left: maxHandshake}
	ctx, cancel := context.WithTimeout(t.ctx, 3*t.lim.Wait)
	defer cancel()
	t.until(t.conn.SetDeadline, time.Now().Add(3*t.lim.Wait))
	// The certificate is looked at, not trusted: nothing secret is sent. Old
	// versions and ciphers are offered because that is what is asked.
	client := tls.Client(wire, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, //nolint:gosec
		CipherSuites: everyCipher(), NextProtos: offer.protocols(), ServerName: t.serverName()})
	if err := client.HandshakeContext(ctx); err != nil {
		t.hangUp()
		return errors.Join(err, refusal(wire.first))
	}
	t.conn, t.fresh, t.secure, t.detail = client, false, true, describe(client.ConnectionState())
	return nil
}

func (t *talk) serverName() string {
	if t.lim.ServerName == nil {
		return ""
	}
	return t.lim.ServerName(t.endpoint)
}

func everyCipher() []uint16 {
	var ids []uint16
	for _, c := range tls.CipherSuites() {
		ids = append(ids, c.ID)
	}
	for _, c := range tls.InsecureCipherSuites() {
		ids = append(ids, c.ID)
	}
	return ids
}

// describe keeps what a handshake told, bounded.
func describe(state tls.ConnectionState) *exposure.TLSDetail {
	d := &exposure.TLSDetail{Version: tls.VersionName(state.Version), ALPN: bounded(state.NegotiatedProtocol, maxField)}
	if len(state.PeerCertificates) == 0 {
		return d
	}
	c := state.PeerCertificates[0]
	d.Subject = bounded(c.Subject.CommonName, maxField)
	d.Issuer, d.NotAfter = bounded(issuer(c), maxField), c.NotAfter.UTC()
	d.SelfSigned = bytes.Equal(c.RawSubject, c.RawIssuer)
	d.Names = names(c)
	return d
}

func issuer(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" || len(c.Issuer.Organization) == 0 {
		return c.Issuer.CommonName
	}
	return c.Issuer.Organization[0]
}

// names are the certificate's subjectAltName entries, no more than maxNames.
func names(c *x509.Certificate) []string {
	var out []string
	for _, name := range c.DNSNames {
		out = append(out, bounded(name, maxField))
	}
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	for _, mail := range c.EmailAddresses {
		out = append(out, bounded(mail, maxField))
	}
	return out[:min(len(out), maxNames)]
}

// upgrade turns a cleartext conversation into TLS where the server offers it
// in what it said so far, and notes what the handshake tells. Nothing is said
// inside, and the connection is closed.
func (t *talk) upgrade(s exposure.Service, heard []byte) exposure.Service {
	u := t.table.upgrades[s.Name]
	if u == nil || t.secure || t.conn == nil || !u.offered.MatchString(widen(heard)) {
		return s
	}
	if u.message != "" && !t.say(u.message) {
		return s
	}
	if u.agreed != nil {
		answer, _ := t.hear(&probe{until: u.agreed}, t.lim.Wait)
		if !u.agreed.MatchString(widen(answer)) {
			return s
		}
	}
	if t.secureConn(noALPN) != nil {
		return s
	}
	defer t.hangUp()
	t.detail.StartTLS = true
	s.TLSDetail = t.detail
	return s
}
