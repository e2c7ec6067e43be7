package identify

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
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
	mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36-0ubuntu0.22.04.1\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00"
	mongoReply    = strings.Repeat("\x00", 12) + "\xdd\x07\x00\x00\x00\x00\x00\x00\x00"
	httpOK        = "HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nContent-Length: 0\r\n\r\n"
	clientHello   = "\x16\x03"
)

// A server that answers in TLS without shaking hands speaks TLS all the same.
func TestRefusedTLS(t *testing.T) {
	got, ok := greetOne(t, replies(clientHello, "\x15\x03\x01\x00\x02\x02\x28", "GET", "\x15\x03\x01\x00\x02\x02\x46"), 4444)
	if !ok || got.Name != "" || !got.TLS || got.Via != "tls" {
		t.Errorf("%+v, %v", got, ok)
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

// Not even one that greets.
func TestNeverAnswersAPrinter(t *testing.T) {
	var heard atomic.Int64
	got, _ := greetOne(t, func(c net.Conn) {
		_, _ = c.Write([]byte("220 printer FTP server ready\r\n"))
		n, _ := c.Read(make([]byte, 100))
		heard.Add(int64(n))
	}, 9101)
	if got.Name != "ftp" || heard.Load() != 0 {
		t.Errorf("%+v, sent %d bytes", got, heard.Load())
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
	neverReads := func(c net.Conn) { time.Sleep(150 * time.Millisecond) }
	endlessHeaders := func(c net.Conn) {
		_, _ = c.Read(make([]byte, 512))
		for _, err := c.Write([]byte("HTTP/1.1 200 OK\r\n")); err == nil; {
			_, err = c.Write([]byte("Server: a/1\r\nX: \x1b[2J\r\n"))
		}
	}
	slowTLS := func(c net.Conn) {
		_, _ = c.Read(make([]byte, 512))
		for _, err := c.Write([]byte("\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")); err == nil; {
			time.Sleep(5 * time.Millisecond)
			_, err = c.Write([]byte{0})
		}
	}
	asksForever := func(c net.Conn) { // every answer leads to a further question
		replies("GET /version", "HTTP/1.0 404 x\r\n\r\n404 page not found\n", "GET", "HTTP/1.0 404 x\r\n\r\n404 page not found\n")(c)
	}
	for name, s := range map[string]server{"flood": flood, "trickle": trickle, "silence": sink, "endless TLS": endlessTLS,
		"never reads": neverReads, "endless headers": endlessHeaders, "slow TLS": slowTLS, "asks forever": asksForever} {
		start := time.Now()
		found := Greet(t.Context(), []exposure.Endpoint{at(1), at(443), at(80)},
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
	table, err := readTables(probeFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.probes) < 15 || len(table.greeting.matches) < 20 || !table.silent[9100] {
		t.Errorf("%d probes, %d greetings", len(table.probes), len(table.greeting.matches))
	}
	for _, p := range table.probes {
		if !p.tls && len(p.matches) == 0 {
			t.Errorf("probe %s recognises nothing", p.name)
		}
		for port := range table.silent {
			if p.ports[port] {
				t.Errorf("probe %s is for port %d, which must hear nothing", p.name, port)
			}
		}
	}
	for _, m := range table.messages {
		for _, word := range []string{"AUTH ", "PASS", "USER ", "SET ", "PUT ", "POST ", "DELETE", "FLUSH", "CONFIG", "LOGIN", "EVAL", "SELECT", "INSERT", "SHUTDOWN"} {
			if strings.Contains(m.bytes, word) && m.bytes != "AUTH TLS\r\n" {
				t.Errorf("message %s holds %q", m.name, word)
			}
		}
		if m.meaning == "" || len(m.bytes) == 0 {
			t.Errorf("message %s has no meaning or no bytes", m.name)
		}
	}
}

// HTTP and TLS come first where the port suggests nothing, and what the port
// suggests before them.
func TestOrder(t *testing.T) {
	first := func(port uint16) string {
		probes, _ := loadTable().order(port)
		return probes[0].name + " " + probes[1].name
	}
	if first(4242) != "http tls" || first(6379) != "redis http" || first(443) != "tls http" || first(80) != "http tls" {
		t.Errorf("%s, %s, %s, %s", first(4242), first(6379), first(443), first(80))
	}
}

// Industrial protocols are spoken at their own ports only.
func TestIndustryAtItsOwnPortsOnly(t *testing.T) {
	for _, name := range []string{"modbus", "iso-tsap", "EtherNet-IP-2", "iec-104", "opcua-tcp"} {
		p := loadTable().byName[name]
		if p == nil || p.rank != own || len(p.ports) == 0 || len(p.ports) > 2 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestTableRefusesNonsense(t *testing.T) {
	for _, text := range []string{"probe", "match x", "silent 1-", "silent 9-8", "what is", "probe x 1", `match a "("`,
		`probe http 80 "x"`, "probe greeting - \"\"\nprobe http 80 \"x\"\nmatch http \"x\" colour \"red\"", "probe a 70000 \"x\""} {
		files := fstest.MapFS{"probes/a.txt": {Data: []byte(text)}}
		if _, err := readTables(files); !errors.Is(err, errTable) {
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
			found, ok := p.match(heard)
			if ok && found.Name == "" {
				t.Errorf("%s: a match without a name", p.name)
			}
			s := found.Service
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
