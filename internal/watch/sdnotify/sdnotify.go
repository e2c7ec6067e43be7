package sdnotify

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Notifier talks to the service manager; nil and the zero value are silent.
type Notifier struct{ conn *net.UnixConn }

// writeWithin bounds one message.
const writeWithin = time.Second

// Dial opens the socket: a path, or @name in the abstract namespace. An empty
// name gives a silent Notifier.
func Dial(socket string) (*Notifier, error) {
	if socket == "" {
		return new(Notifier), nil
	}
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return nil, fmt.Errorf("NOTIFY_SOCKET %q: neither a path nor @name", socket)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("reach the service manager (NOTIFY_SOCKET): %w", err)
	}
	return &Notifier{conn}, nil
}

// Ready tells that the service does its work, with a line about it.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", "STATUS="+oneLine(status)) }

// Status tells what the service is doing.
func (n *Notifier) Status(status string) error { return n.send("STATUS=" + oneLine(status)) }

// Alive is what WatchdogSec= waits for.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// Reloading and Ready afterwards frame a re-reading of the configuration.
// Monotonic is CLOCK_MONOTONIC (sd_notify(3) wants it with RELOADING=1).
func (n *Notifier) Reloading(monotonic time.Duration) error {
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic.Microseconds(), 10))
}

// Stopping tells that the service ends.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Close gives the socket back.
func (n *Notifier) Close() error {
	if n == nil || n.conn == nil {
		return nil
	}
	return n.conn.Close()
}

func (n *Notifier) send(lines ...string) error {
	if n == nil || n.conn == nil {
		return nil
	}
	if err := n.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	if _, err := n.conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// oneLine: a newline would begin another field.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// WatchdogEvery is how often Alive is to be called: half of WATCHDOG_USEC,
// when WATCHDOG_PID is this process or empty; 0: not at all.
func WatchdogEvery(usec, pid string, self int) time.Duration {
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) || pid != "" && pid != strconv.Itoa(self) {
		return 0
	}
	return time.Duration(n) * time.Microsecond / 2
}
