package identify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/portreeve/portreeve/internal/exposure"
)

// server is what a fake service does with one connection.
type server func(net.Conn)

// greets says something and then reads on.
func greets(s string) server {
	return func(c net.Conn) {
		_, _ = c.Write([]byte(s))
		sink(c)
	}
}

// replies waits for a request and answers those that it knows; others close.
func replies(rules ...string) server {
	return func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			answer, ok := "", false
			for i := 0; i+1 < len(rules); i += 2 {
				if !ok && bytes.HasPrefix(buf[:n], []byte(rules[i])) {
					answer, ok = rules[i+1], true
				}
			}
			if !ok {
				return
			}
			if _, err := c.Write([]byte(answer)); err != nil {
				return
			}
		}
	}
}

func sink(c net.Conn) {
	buf := make([]byte, 1024)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// inMemory is a Dial to a fake service over net.Pipe: no network is used.
func inMemory(s server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			s(theirs)
		}()
		return ours, nil
	}
}

func at(port uint16) exposure.Endpoint {
	return exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(netip.MustParseAddr("127.0.0.1")), Port: port}
}

func greetOne(t *testing.T, s server, port uint16) (exposure.Service, bool) {
	t.Helper()
	found := Greet(t.Context(), []exposure.Endpoint{at(port)}, Limits{Dial: inMemory(s), Wait: 60 * time.Millisecond})
	got, ok := found[at(port)]
	return got, ok
}

var (
	mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36-0ubuntu0.22.04.1\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff"
	mongoReply    = strings.Repeat("\x00", 12) + "\xdd\x07\x00\x00\x00\x00\x00\x00\x00"
	httpOK        = "HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nContent-Length: 0\r\n\r\n"
	clientHello   = "\x16\x03"
)

func TestRecognises(t *testing.T) {
	for name, c := range map[string]struct {
		port   uint16
		server server
		want   exposure.Service
	}{
		"openssh on 443":    {443, greets("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"), exposure.Service{Name: "ssh", Product: "OpenSSH", Version: "9.2p1", Info: "Debian-2+deb12u3", Via: "banner"}},
		"dropbear":          {22, greets("SSH-2.0-dropbear_2022.83\r\n"), exposure.Service{Name: "ssh", Product: "Dropbear sshd", Version: "2022.83", Via: "banner"}},
		"postfix":           {25, greets("220 mx.example.net ESMTP Postfix (Debian/GNU)\r\n"), exposure.Service{Name: "smtp", Product: "Postfix", Via: "banner"}},
		"vsftpd":            {21, greets("220 (vsFTPd 3.0.5)\r\n"), exposure.Service{Name: "ftp", Product: "vsftpd", Version: "3.0.5", Via: "banner"}},
		"bare 220 is smtp":  {2525, func(c net.Conn) { _, _ = c.Write([]byte("220 ready\r\n")); replies("EHLO", "250 hi\r\n")(c) }, exposure.Service{Name: "smtp", Via: "banner"}},
		"bare 220 is ftp":   {2121, func(c net.Conn) { _, _ = c.Write([]byte("220 ready\r\n")); replies("EHLO", "500 what\r\n")(c) }, exposure.Service{Name: "ftp", Via: "banner"}},
		"pop3":              {110, greets("+OK Dovecot ready.\r\n"), exposure.Service{Name: "pop3", Auth: "required", Via: "banner"}},
		"imap":              {143, greets("* OK [CAPABILITY IMAP4rev1] ready\r\n"), exposure.Service{Name: "imap", Via: "banner"}},
		"nntp":              {119, greets("200 news.example.net InterNetNews NNRP server INN 2.7\r\n"), exposure.Service{Name: "nntp", Via: "banner"}},
		"telnet":            {23, greets("\xff\xfd\x18\xff\xfd\x20"), exposure.Service{Name: "telnet", Via: "banner"}},
		"mysql":             {3306, greets(mysqlGreeting), exposure.Service{Name: "mysql", Product: "MySQL", Version: "8.0.36-0ubuntu0.22.04.1", Auth: "required", Via: "banner"}},
		"mariadb":           {3306, greets("\x5a\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\x00...."), exposure.Service{Name: "mysql", Product: "MariaDB", Version: "10.11.6", Auth: "required", Via: "banner"}},
		"vnc without":       {5900, func(c net.Conn) { _, _ = c.Write([]byte("RFB 003.008\n")); replies("RFB", "\x02\x01\x02")(c) }, exposure.Service{Name: "rfb", Info: "protocol 003.008", Auth: "none", Via: "banner"}},
		"vnc with password": {5900, func(c net.Conn) { _, _ = c.Write([]byte("RFB 003.008\n")); replies("RFB", "\x01\x02")(c) }, exposure.Service{Name: "rfb", Info: "protocol 003.008", Auth: "required", Via: "banner"}},
		"http":              {31337, replies("GET", httpOK), exposure.Service{Name: "http", Product: "nginx", Version: "1.24.0", Via: "probe"}},
		"http 401":          {80, replies("GET", "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n"), exposure.Service{Name: "http", Auth: "required", Via: "probe"}},
		"elasticsearch":     {9200, replies("GET", "HTTP/1.0 200 OK\r\n\r\n{\"cluster_name\" : \"c\", \"version\" : { \"number\" : \"8.11.1\" }, \"tagline\" : \"You Know, for Search\"}"), exposure.Service{Name: "http", Product: "Elasticsearch", Version: "8.11.1", Auth: "none", Via: "probe"}},
		"redis open":        {6379, replies("PING", "+PONG\r\n"), exposure.Service{Name: "redis", Auth: "none", Via: "probe"}},
		"redis password":    {6379, replies("PING", "-NOAUTH Authentication required.\r\n"), exposure.Service{Name: "redis", Auth: "required", Via: "probe"}},
		"redis elsewhere":   {7777, replies("PING", "+PONG\r\n", "GET", "-ERR wrong number of arguments for 'get' command\r\n"), exposure.Service{Name: "redis", Auth: "none", Via: "probe"}},
		"memcached":         {11211, replies("version", "VERSION 1.6.18\r\n"), exposure.Service{Name: "memcache", Product: "memcached", Version: "1.6.18", Auth: "none", Via: "probe"}},
		"memcached away":    {4242, replies("version", "VERSION 1.6.18\r\n", "GET", "ERROR\r\nERROR\r\n"), exposure.Service{Name: "memcache", Product: "memcached", Version: "1.6.18", Auth: "none", Via: "probe"}},
		"postgresql":        {5432, replies("\x00\x00\x00\x08", "N"), exposure.Service{Name: "postgresql", Via: "probe"}},
		"postgresql away":   {15432, replies("\x00\x00\x00\x08", "S"), exposure.Service{Name: "postgresql", Via: "probe"}},
		"mongodb open":      {27017, replies(loadTable().byName["mongodb"].message[:4], mongoReply+"databases\x00"), exposure.Service{Name: "mongodb", Auth: "none", Via: "probe"}},
		"x11 open":          {6000, replies("l\x00\x0b", "\x01\x00\x0b\x00\x00\x00"), exposure.Service{Name: "x11", Auth: "none", Via: "probe"}},
		"x11 refused":       {6000, replies("l\x00\x0b", "\x00\x16\x0b\x00\x00\x00"), exposure.Service{Name: "x11", Auth: "required", Via: "probe"}},
		"mqtt open":         {1883, replies("\x10", "\x20\x02\x00\x00"), exposure.Service{Name: "mqtt", Auth: "none", Via: "probe"}},
		"unknown greeting":  {999, greets("hello stranger\n"), exposure.Service{Via: "banner"}},
		"unknown answer":    {999, replies("GET", "what?\n"), exposure.Service{Via: "probe"}},
		"refused TLS":       {4444, replies(clientHello, "\x15\x03\x01\x00\x02\x02\x28", "GET", "\x15\x03\x01\x00\x02\x02\x46"), exposure.Service{TLS: true, Via: "tls"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := greetOne(t, c.server, c.port)
			got.Banner = ""
			if !ok || got != c.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, ok, c.want)
			}
		})
	}
}

// A MongoDB that asks for a login is told from an open one.
func TestMongoLogin(t *testing.T) {
	probe := loadTable().byName["mongodb"].message
	got, _ := greetOne(t, replies(probe[:4], mongoReply+"codeName\x00Unauthorized\x00"), 27017)
	if got.Name != "mongodb" || got.Auth != "required" {
		t.Errorf("%+v", got)
	}
}

// tlsServer wraps a fake service in TLS.
func tlsServer(t *testing.T, inner server) server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web-01"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
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
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := greetOne(t, tlsServer(t, c.inner), c.port)
			if got.Name != c.want || !got.TLS {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Raw printing ports hear nothing from us.
func TestNeverPrints(t *testing.T) {
	var heard atomic.Int64
	_, ok := greetOne(t, func(c net.Conn) {
		n, _ := c.Read(make([]byte, 100))
		heard.Add(int64(n))
	}, 9100)
	if ok || heard.Load() != 0 {
		t.Errorf("spoke %v, sent %d bytes", ok, heard.Load())
	}
}

// Hostile servers cost neither time nor memory.
func TestHostileServers(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	flood := func(c net.Conn) {
		junk := bytes.Repeat([]byte("\x1b]0;pwned\x07\xff\u202e"), 4096)
		for {
			if _, err := c.Write(junk); err != nil {
				return
			}
		}
	}
	trickle := func(c net.Conn) {
		for {
			if _, err := c.Write([]byte{'x'}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	endlessTLS := func(c net.Conn) {
		if _, err := c.Read(make([]byte, 512)); err != nil {
			return
		}
		record := append([]byte("\x16\x03\x03\x3f\xff\x0b\x00\xff\xff"), make([]byte, 0x3fff-4)...)
		for {
			if _, err := c.Write(record); err != nil {
				return
			}
		}
	}
	for name, s := range map[string]server{"flood": flood, "trickle": trickle, "silence": sink, "endless TLS": endlessTLS} {
		start := time.Now()
		found := Greet(t.Context(), []exposure.Endpoint{at(1), at(443)},
			Limits{Dial: inMemory(s), Wait: 40 * time.Millisecond, Each: 500 * time.Millisecond})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		for _, f := range found {
			if len(f.Banner) > maxBanner*3 || !utf8.ValidString(f.Banner) {
				t.Errorf("%s: banner of %d bytes", name, len(f.Banner))
			}
		}
	}
}

// A dead endpoint, another protocol and a cancelled context say nothing.
func TestNothingToSay(t *testing.T) {
	refused := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	udp := at(53)
	udp.Proto = exposure.UDP
	for _, got := range []map[exposure.Endpoint]exposure.Service{
		Greet(t.Context(), []exposure.Endpoint{at(1), udp, {Proto: exposure.TCP}}, Limits{Dial: refused}),
		Greet(ctx, []exposure.Endpoint{at(1)}, Limits{Dial: inMemory(greets("SSH-2.0-x\r\n"))}),
	} {
		if len(got) != 0 {
			t.Errorf("%v", got)
		}
	}
}

// The embedded table is whole, and no message holds a word that logs in or
// writes.
func TestTable(t *testing.T) {
	table, err := parseTable(probeText)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.probes) < 15 || len(table.greeting.matches) < 20 || !table.silent[9100] {
		t.Errorf("%d probes, %d greetings", len(table.probes), len(table.greeting.matches))
	}
	for _, p := range table.probes {
		for _, word := range []string{"AUTH ", "PASS", "USER ", "SET ", "PUT ", "POST ", "DELETE", "FLUSH", "CONFIG"} {
			if strings.Contains(p.message, word) {
				t.Errorf("probe %s holds %q", p.name, word)
			}
		}
		if !p.tls && len(p.matches) == 0 {
			t.Errorf("probe %s recognises nothing", p.name)
		}
	}
}

func TestTableRefusesNonsense(t *testing.T) {
	for _, text := range []string{"probe", "match x", "silent 1-", "silent 9-8", "what is", "probe x 1", `match a "("`,
		`probe http 80 "x"`, "probe greeting - \"\"\nprobe http 80 \"x\"\nmatch http \"x\" colour \"red\"", "probe a 70000 \"x\""} {
		if _, err := parseTable(text); !errors.Is(err, errTable) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever a server says, recognising it neither fails nor keeps much.
func FuzzRecognise(f *testing.F) {
	for _, s := range []string{"SSH-2.0-OpenSSH_9.2p1\r\n", mysqlGreeting, httpOK, "\x15\x03\x01\x00\x02\x02\x28", "+PONG\r\n", "220 \xff\xfe\x1b[2J ftp\r\n", "RFB 003.008\n\x01\x01", mongoReply} {
		f.Add([]byte(s))
	}
	table := loadTable()
	f.Fuzz(func(t *testing.T, heard []byte) {
		if len(heard) > 4096 {
			return
		}
		for _, p := range append([]*probe{table.greeting}, table.probes...) {
			s, ok := p.match(heard)
			if ok && s.Name == "" {
				t.Errorf("%s: a match without a name", p.name)
			}
			s.Banner = string(heard)
			s = tidy(s)
			for _, text := range []string{s.Product, s.Version, s.Info, s.Banner} {
				if !utf8.ValidString(text) || len(text) > 3*maxBanner {
					t.Errorf("%s: %q", p.name, text)
				}
			}
		}
		looksLikeTLS(heard)
	})
}
