package identify

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
)

// certificate is one for web-01, self-signed.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web-01"},
		DNSNames: []string{"web-01.example.net"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsServer wraps a fake service in TLS.
func tlsServer(t *testing.T, inner server) server {
	return tlsWith(&tls.Config{Certificates: []tls.Certificate{certificate(t)}}, inner)
}

func tlsWith(config *tls.Config, inner server) server {
	return func(c net.Conn) {
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			inner(s)
		}
	}
}

func TestInsideTLS(t *testing.T) {
	for name, c := range map[string]struct {
		port  uint16
		inner server
		want  string
	}{
		"https at home": {443, replies("GET", httpOK), "http"},
		"https away":    {12345, replies("GET", httpOK), "http"},
		"imaps":         {993, greets("* OK ready\r\n"), "imap"},
		"ldaps":         {636, replies("0", "0\x0c\x02\x01\x01e\x07\n\x01\x00\x04\x00\x04\x00"), "ldap"},
		"http at ldaps": {636, replies("GET", httpOK), "http"},
		"etcd":          {2379, replies("GET /version", "HTTP/1.0 200 OK\r\n\r\n{\"etcdserver\":\"3.5.0\"}", "GET", "HTTP/1.0 404 Not Found\r\n\r\n404 page not found\n"), "http"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := greetOne(t, tlsServer(t, c.inner), c.port)
			if got.Name != c.want || !got.TLS || got.TLSDetail == nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

// web answers a request once it is whole: TLS 1.0 clients send the first byte
// alone.
func web(c net.Conn) {
	if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = c.Write([]byte(httpOK))
	}
}

// What the handshake told is kept, old versions and ALPN included.
func TestTLSDetail(t *testing.T) {
	certs := []tls.Certificate{certificate(t)}
	old := &tls.Config{Certificates: certs, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10} //nolint:gosec // what is tested
	for name, c := range map[string]struct {
		config        *tls.Config
		version, alpn string
	}{
		"new":            {&tls.Config{Certificates: certs}, "TLS 1.3", ""},
		"old":            {old, "TLS 1.0", ""},
		"h2":             {&tls.Config{Certificates: certs, NextProtos: []string{"h2", "http/1.1"}}, "TLS 1.3", "h2"},
		"another's ALPN": {&tls.Config{Certificates: certs, NextProtos: []string{"mqtt"}}, "TLS 1.3", ""},
	} {
		got, _ := greetOne(t, tlsWith(c.config, web), 443)
		d := got.TLSDetail
		if got.Name != "http" || got.Product != "nginx" || d == nil {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if d.Version != c.version || d.ALPN != c.alpn || d.Subject != "web-01" || d.Issuer != "web-01" || !d.SelfSigned || d.StartTLS ||
			!slices.Equal(d.Names, []string{"web-01.example.net", "192.0.2.1"}) || d.NotAfter.Year() != 2030 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// upgrading plays a cleartext conversation that ends with a change to TLS:
// pairs of what is heard and said.
func upgrading(t *testing.T, greeting string, script ...string) server {
	inTLS := tlsServer(t, sink)
	return func(c net.Conn) {
		if greeting != "" {
			_, _ = c.Write([]byte(greeting))
		}
		buf := make([]byte, 4096)
		for i := 0; i+1 < len(script); i += 2 {
			n, err := c.Read(buf)
			if err != nil || !strings.HasPrefix(string(buf[:n]), script[i]) {
				return
			}
			if script[i+1] != "" {
				if _, err := c.Write([]byte(script[i+1])); err != nil {
					return
				}
			}
		}
		inTLS(c)
	}
}

// Servers that offer TLS in the middle of a conversation show their
// certificate.
func TestStartTLS(t *testing.T) {
	for name, c := range map[string]struct {
		port     uint16
		greeting string
		script   []string
	}{
		"smtp":          {25, "220 mx ESMTP x\r\n", []string{"EHLO", "250-mx\r\n250-STARTTLS\r\n250 HELP\r\n", "STARTTLS", "220 go\r\n"}},
		"ftp":           {21, "220 (vsFTPd 3.0.3)\r\n", []string{"FEAT", "211-Features:\r\n AUTH TLS\r\n211 End\r\n", "AUTH TLS", "234 go\r\n"}},
		"pop3":          {110, "+OK ready\r\n", []string{"CAPA", "+OK\r\nSTLS\r\n.\r\n", "STLS", "+OK\r\n"}},
		"imap":          {143, "* OK ready\r\n", []string{"a1 ", "* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK\r\n", "a2 STARTTLS", "a2 OK\r\n"}},
		"nntp":          {119, "200 news\r\n", []string{"CAPA", "101 x\r\nSTARTTLS\r\n.\r\n", "STARTTLS", "382 go\r\n"}},
		"mysql":         {3306, mysqlGreeting, []string{"\x20\x00\x00\x01", ""}},
		"postgresql":    {5432, "", []string{"\x00\x00\x00\x08", "S"}},
		"ms-wbt-server": {3389, "", []string{"\x03\x00\x00\x13", "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x01\x00\x00\x00"}},
		"xmpp":          {5222, "", []string{"<?xml", "<?xml version='1.0'?><stream:stream id='x' xmlns='jabber:client'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>", "<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"}},
		"nats":          {4222, "INFO {\"version\":\"2.9.1\",\"tls_required\":true} \r\n", nil},
		"sieve":         {4190, "\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n", []string{"STARTTLS", "OK\r\n"}},
		"ldap":          {389, "", []string{"0", "0\x47\x02\x01\x01d\x42\x04\x000\x3e0\x3c\x04\x12supportedExtension1\x26\x04\x241.3.6.1.4.1.1466.20037              0\x0c\x02\x01\x01e\x07\n\x01\x00\x04\x00\x04\x00", "0", "0\x0c\x02\x01\x02x\x07\n\x01\x00\x04\x00\x04\x00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := greetOne(t, upgrading(t, c.greeting, c.script...), c.port)
			if d := got.TLSDetail; got.Name != name || got.TLS || d == nil || !d.StartTLS || d.Subject != "web-01" {
				t.Errorf("%+v, %+v", got, d)
			}
		})
	}
}

// known is a Signatures that knows one answer.
type known struct {
	probe, answer string
	says          exposure.Service
}

func (k known) Match(_ context.Context, proto, probe string, answer []byte) (exposure.Service, bool) {
	return k.says, proto == "tcp" && probe == k.probe && strings.HasPrefix(string(answer), k.answer)
}

// Signatures name what the table does not, and fill what it left open; they
// do not overrule it.
func TestSignatures(t *testing.T) {
	for name, c := range map[string]struct {
		server server
		known  known
		want   exposure.Service
	}{
		"unknown greeting": {greets("hello stranger 7\n"), known{"greeting", "hello", exposure.Service{Name: "strange", Version: "7", Via: "signature"}},
			exposure.Service{Name: "strange", Version: "7", Via: "signature"}},
		"fills": {replies("GET", "HTTP/1.0 200 OK\r\n\r\nx"), known{"http", "HTTP", exposure.Service{Name: "http", Product: "X", Version: "1"}},
			exposure.Service{Name: "http", Product: "X", Version: "1", Via: "probe"}},
		"another product": {replies("GET", "HTTP/1.0 200 OK\r\nServer: Y\r\n\r\nx"), known{"http", "HTTP", exposure.Service{Name: "http", Product: "X", Version: "1"}},
			exposure.Service{Name: "http", Product: "Y", Via: "probe"}},
		"the same product": {replies("GET", "HTTP/1.0 200 OK\r\nServer: Apache\r\n\r\nx"), known{"http", "HTTP", exposure.Service{Name: "x", Product: "Apache", Info: "i"}},
			exposure.Service{Name: "http", Product: "Apache httpd", CPE: "cpe:/a:apache:http_server", Info: "i", Via: "probe"}},
	} {
		found := Greet(t.Context(), []exposure.Endpoint{at(80)}, Limits{Dial: inMemory(c.server), Wait: 60 * time.Millisecond, Signatures: c.known})
		got := found[at(80)]
		got.Banner = ""
		if got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// counting is a Dial that knows how many connections each host has at once.
type counting struct {
	dial func(context.Context, string, string) (net.Conn, error)
	mu   sync.Mutex
	now  map[string]int
	most map[string]int
}

func (c *counting) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	c.mu.Lock()
	c.now[host]++
	c.most[host] = max(c.most[host], c.now[host])
	c.mu.Unlock()
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		c.less(host)
		return nil, err
	}
	return &counted{Conn: conn, closed: func() { c.less(host) }}, nil
}

func (c *counting) less(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[host]--
}

type counted struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *counted) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// Many endpoints of many hosts: each is settled once, and no host gets more
// than its share of connections, whatever the servers do.
func TestPoliteness(t *testing.T) {
	var eps []exposure.Endpoint
	for host := range 12 {
		for port := range 10 {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(host)})
			eps = append(eps, exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(addr), Port: uint16(2000 + port)})
		}
	}
	c := &counting{dial: inMemory(sink), now: map[string]int{}, most: map[string]int{}}
	var last atomic.Int64
	Greet(t.Context(), eps, Limits{Dial: c.Dial, Wait: 2 * time.Millisecond, Parallel: 64, Progress: func(done, total int) {
		if int64(done) != last.Add(1) || total != len(eps) {
			t.Errorf("progress %d of %d", done, total)
		}
	}})
	if last.Load() != int64(len(eps)) {
		t.Errorf("%d settled", last.Load())
	}
	for host, n := range c.most {
		if n > 8 {
			t.Errorf("%s had %d connections at once", host, n)
		}
	}
}

// The queue gives every endpoint once, in whatever order slots come back.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perHost := rapid.IntRange(1, 3).Draw(t, "per host")
		var eps []exposure.Endpoint
		for i, host := range rapid.SliceOfN(rapid.IntRange(0, 4), 0, 40).Draw(t, "hosts") {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(host)})
			eps = append(eps, exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(addr), Port: uint16(i + 1)})
		}
		q := newQueue(eps, perHost)
		var held []exposure.Endpoint
		given := map[exposure.Endpoint]bool{}
		for len(given) < len(eps) {
			// Give back one when nothing can be had, else as it comes.
			if len(q.line) == 0 || len(held) > 0 && rapid.Bool().Draw(t, "release") {
				q.release(held[0])
				held = held[1:]
				continue
			}
			e, ok := q.next()
			if !ok || given[e] {
				t.Fatalf("%v, %v", e, ok)
			}
			given[e] = true
			held = append(held, e)
			if n := len(slices.DeleteFunc(slices.Clone(held), func(h exposure.Endpoint) bool { return h.Addr != e.Addr })); n > perHost {
				t.Fatalf("%d at one host", n)
			}
		}
		if _, ok := q.next(); ok {
			t.Fatal("more than all")
		}
	})
}

// An own address has no bound, and a closed queue gives nothing.
func TestQueueOwn(t *testing.T) {
	eps := []exposure.Endpoint{at(1), at(2), at(3)}
	q := newQueue(eps, 1)
	first, _ := q.next()
	if q.extra(first) {
		t.Error("a second slot of one")
	}
	q.isOwn(first)
	if _, ok := q.next(); !ok || !q.extra(first) {
		t.Error("own, and still bounded")
	}
	q.close()
	if _, ok := q.next(); ok {
		t.Error("closed")
	}
}

// A server that takes probes one by one is not asked for longer than Each, and
// recognition ends what else is under way.
func TestRecognitionEndsTheRest(t *testing.T) {
	start := time.Now()
	got, _ := greetOneWith(t, replies("version", "VERSION 1.6.18\r\n"), Limits{Wait: 400 * time.Millisecond, Each: 4 * time.Second})
	if took := time.Since(start); got.Name != "memcache" || took > 3*time.Second {
		t.Errorf("%+v after %v", got, took)
	}
}

func greetOneWith(t *testing.T, s server, lim Limits) (exposure.Service, bool) {
	t.Helper()
	lim.Dial = inMemory(s)
	got, ok := Greet(t.Context(), []exposure.Endpoint{at(4242)}, lim)[at(4242)]
	return got, ok
}

// A decoder never fails, whatever bytes it gets.
func FuzzDecoders(f *testing.F) {
	text := map[string][]byte{}
	for _, c := range conversations(f) {
		for i := 1; i < len(c.rules); i += 2 {
			text[fmt.Sprint(c.name, i)] = []byte(c.rules[i])
		}
	}
	for _, b := range text {
		f.Add(b)
	}
	all := decoders()
	f.Fuzz(func(t *testing.T, answer []byte) {
		for name, decode := range all {
			var s exposure.Service
			decode(answer, &s)
			if n := len(s.Product) + len(s.Version) + len(s.Info); n > 4*len(answer)+4096 {
				t.Errorf("%s made %d bytes of %d", name, n, len(answer))
			}
		}
	})
}
