package event

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"go.uber.org/goleak"
)

// The test's program is also the player: a process that opens sockets and
// writes what it did.
const playVariable = "PORTREEVE_EVENT_PLAY"

func TestMain(m *testing.M) {
	if what := os.Getenv(playVariable); what != "" {
		play(strings.Fields(what))
		return
	}
	goleak.VerifyTestMain(m)
}

func play(words []string) {
	switch words[0] {
	case "brief": // network address lifetime
		life, err := time.ParseDuration(words[3])
		check(err)
		c := openSocket(words[1], words[2])
		fmt.Println("open")
		time.Sleep(life)
		check(c.Close())
	case "hold": // network address; until killed or told to end
		openSocket(words[1], words[2])
		fmt.Println("open")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	case "follow":
		playFollow(words[1])
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func openSocket(network, address string) interface{ Close() error } {
	if strings.HasPrefix(network, "udp") {
		c, err := net.ListenPacket(network, address)
		check(err)
		return c
	}
	c, err := net.Listen(network, address)
	check(err)
	return c
}

// playFollow opens a stream, gives up every capability, and counts what it
// then sees of its own sockets.
func playFollow(source string) {
	s, err := Open(context.Background(), Options{NetNS: "self", Source: source, Interval: 20 * time.Millisecond, steady: true})
	check(err)
	check(syscall.Setuid(65534)) // with it go all capabilities
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	go func() {
		c := openSocket("tcp4", "127.0.0.1:4000")
		time.Sleep(200 * time.Millisecond)
		_ = c.Close()
	}()
	check(s.Run(ctx, func(e Event) error {
		fmt.Println(e.Kind, e.Socket.Port, len(e.Socket.Processes), s.Lost())
		if e.Kind == Closed {
			cancel()
		}
		return nil
	}))
	check(s.Close())
}

// player starts the player inside a namespace and waits until it opened its
// socket.
func player(t *testing.T, ns *nettest.NS, words ...string) *exec.Cmd {
	t.Helper()
	cmd := prepare(t, ns, words...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "open\n" {
		t.Fatalf("player %v: %q %v", words, line, err)
	}
	return cmd
}

func prepare(t *testing.T, ns *nettest.NS, words ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := ns.Command(exe, words...)
	cmd.Env = append(os.Environ(), playVariable+"="+strings.Join(words, " "), "GORACE=atexit_sleep_ms=0")
	return cmd
}
