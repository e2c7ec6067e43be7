package sink

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// TestReaderBesideLogger: the tests' reader of RFC 5424 reads what logger(1)
// writes; so what it says of our messages is worth something.
func TestReaderBesideLogger(t *testing.T) {
	logger := nettest.Need(t, "logger")
	path := filepath.Join(t.TempDir(), "log")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	nettest.Run(t, logger, "--rfc5424=notq", "--socket", path, "--socket-errors=on", "-p", "local5.crit", "-t", "tag", "--id=12", "--msgid", "opened",
		"--sd-id", "portreeve@32473", "--sd-param", `endpoint="`+escapeParam(`tcp/[::]:22`)+`"`, "hello ] \" world")
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := readSyslog(string(b[:n]))
	if err != nil || m.pri != 21*8+2 || m.app != "tag" || m.pid != "12" || m.id != "opened" || m.sdID != "portreeve@32473" || m.params["endpoint"] != "tcp/[::]:22" || m.text != `hello ] " world` {
		t.Fatalf("%v %+v in %q", err, m, b[:n])
	}
}
