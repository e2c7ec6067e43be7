package sink

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func testFormat(most int) *syslogFormat {
	return &syslogFormat{facility: 3, host: "db-01", app: syslogApp, pid: "77", enterprise: exampleEnterprise, most: most}
}

func TestSyslogMessage(t *testing.T) {
	m, err := readSyslog(string(testFormat(8192).message(notice("n1"))))
	if err != nil {
		t.Fatal(err)
	}
	if m.pri != 3*8+2 || m.host != "db-01" || m.app != "portreeve" || m.pid != "77" || m.id != "opened" || m.sdID != "portreeve@32473" || !m.hadBOM ||
		!m.at.Equal(time.Date(2026, 3, 1, 12, 30, 1, 123456000, time.UTC)) {
		t.Fatalf("%+v", m)
	}
	for k, want := range map[string]string{"id": "n1", "endpoint": "tcp/0.0.0.0:5432", "rule": "exposed-datastore", "process": "postgres", "unit": "postgresql.service"} {
		if m.params[k] != want {
			t.Errorf("%s is %q, want %q", k, m.params[k], want)
		}
	}
	if want := "high: tcp/0.0.0.0:5432 opened by postgres[812] as postgres, unit postgresql.service: exposed-datastore: strangers reach a database"; m.text != want {
		t.Errorf("%q", m.text)
	}
}

// TestSyslogAnything: whatever a notice holds and however small the limit, the
// message is RFC 5424, within its size, and says the same.
func TestSyslogAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := hostileNotice(rapid.StringN(1, 40, 200).Draw(t, "id"))
		n.After.Processes[0].Name = rapid.String().Draw(t, "name")
		n.After.Unit = string(rapid.SliceOf(rapid.Byte()).Draw(t, "unit"))
		n.Finding.Title = rapid.StringOf(rapid.RuneFrom([]rune("aé€😀\\\"]\n"))).Draw(t, "title")
		f := testFormat(rapid.IntRange(480, 4000).Draw(t, "most"))
		f.host = rapid.String().Draw(t, "host")
		b := string(f.message(n))
		m, err := readSyslog(b)
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		if len(b) > f.most || !utf8.ValidString(b) || strings.ContainsAny(b, "\n\r\x00\x1b") {
			t.Fatalf("%d bytes: %q", len(b), b)
		}
		if id, ok := m.params["id"]; ok && id != strings.Map(tamed, n.ID) {
			t.Fatalf("id %q of %q", id, n.ID)
		}
	})
}

func tamed(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

// receive gives the messages of a stream in octet counting.
func receive(t *testing.T, c net.Conn, n int) (out []string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	for range n {
		digits, err := r.ReadString(' ')
		if err != nil {
			t.Fatal(err)
		}
		size, err := strconv.Atoi(strings.TrimSpace(digits))
		if err != nil || digits[0] == '0' {
			t.Fatalf("%q is no MSG-LEN", digits)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		if _, err := readSyslog(string(b)); err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// TestSyslogTCP: octet counting; a receiver that goes away and comes back gets
// what happened meanwhile.
func TestSyslogTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	place, said := testPlace(t)
	f := open(t, place, Config{Kind: Syslog, Address: "tcp://" + addr})
	send(t, f, 0, 3)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	receive(t, c, 3)
	_, _ = c.Close(), ln.Close()
	eventually(t, "the end is noticed", func() bool {
		s := f.lanes[0].sink.(*syslogSink)
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-s.gone:
			return true
		default:
			return false
		}
	})
	send(t, f, 3, 6)
	eventually(t, "a failure", func() bool { return f.Status()[0].Failures > 0 })
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Skip("the port was taken meanwhile:", err)
	}
	defer ln.Close()
	if c, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := receive(t, c, 3)
	for i, b := range got {
		if !strings.Contains(b, fmt.Sprintf(`id="n%06d"`, i+3)) {
			t.Fatalf("message %d: %s", i, b)
		}
	}
	eventually(t, "it says so", func() bool { return strings.Contains(strings.Join(said.all(), "\n"), "works again") })
}

func TestSyslogTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Syslog, Address: "tls://" + ln.Addr().String(), CA: ca})
	send(t, f, 0, 2)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	receive(t, c, 2)
}

func TestSyslogDatagrams(t *testing.T) {
	dir := t.TempDir()
	local, err := net.ListenPacket("unixgram", filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]net.PacketConn{"unix:" + filepath.Join(dir, "log"): local, "udp://" + udp.LocalAddr().String(): udp} {
		place, _ := testPlace(t)
		f := open(t, place, Config{Kind: Syslog, Address: name, Facility: "local5"})
		n := hostileNotice("big")
		n.Finding.Title = strings.Repeat("ü", 100_000)
		if err := f.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 70_000)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		size, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(name, err)
		}
		m, err := readSyslog(string(b[:size]))
		if err != nil || m.pri != 21*8+2 || !strings.HasSuffix(m.text, "...") {
			t.Fatal(name, err, m)
		}
		_ = c.Close()
	}
}

// TestSyslogLocalStream: where /dev/log is a stream each message ends with NUL.
func TestSyslogLocalStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Syslog, Address: "unix:" + path})
	send(t, f, 0, 2)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range 2 {
		b, err := r.ReadString(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readSyslog(strings.TrimSuffix(b, "\x00")); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzSyslogParam(f *testing.F) {
	for _, s := range []string{"", "plain", `"]\`, hostile, "\xff\xfe", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, got, rest, err := readParam(`k="` + escapeParam(s) + `" tail`)
		want := strings.Map(tamed, strings.ToValidUTF8(s, "\ufffd"))
		if err != nil || rest != " tail" || got != want {
			t.Fatalf("%q: %q, %v", s, got, err)
		}
	})
}
