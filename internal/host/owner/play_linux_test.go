package owner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

func init() {
	parts["hold"] = hold
	parts["receive"] = receive
	parts["reuseport"] = reusePort
	parts["thread"] = ownTable
	parts["zombie-leader"] = zombieLeader
	parts["find"] = findPart
	parts["many"] = many
	parts["chroot"] = chrootPart
}

// ready tells the test that the part is played, and waits for its end.
func ready(values ...any) {
	fmt.Println(append([]any{"ready"}, values...)...)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func fail(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// hold keeps what it inherited.
func hold() { ready() }

// receive takes a descriptor through the socket that is descriptor 3.
func receive() {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(3, buf, oob, 0)
	fail(err)
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	fail(err)
	fds, err := unix.ParseUnixRights(&messages[0])
	fail(err)
	ready(fds[0])
}

func listenFD(reuse bool) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	fail(err)
	if reuse {
		fail(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	fail(unix.Bind(fd, &unix.SockaddrInet4{Port: 7777}))
	fail(unix.Listen(fd, 1))
	return fd
}

func inodeOf(fd int) uint64 {
	var st unix.Stat_t
	fail(unix.Fstat(fd, &st))
	return st.Ino
}

func reusePort() { ready(inodeOf(listenFD(true))) }

// ownTable opens a listener in a thread that has a file table of its own.
func ownTable() {
	opened := make(chan uint64)
	go func() {
		runtime.LockOSThread()
		fail(unix.Unshare(unix.CLONE_FILES))
		opened <- inodeOf(listenFD(false))
		select {}
	}()
	ready(<-opened)
}

// many opens as many listeners as its argument says.
func many() {
	n, err := strconv.Atoi(os.Args[1])
	fail(err)
	for i := range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		fail(err)
		fail(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		fail(unix.Bind(fd, &unix.SockaddrInet4{Port: 1000 + i}))
		fail(unix.Listen(fd, 1))
	}
	ready()
}

// zombieLeader ends its first thread while others live on.
func zombieLeader() {
	fd := listenFD(false)
	fmt.Println("ready", inodeOf(fd))
	var leader, others = unix.Getpid(), make(chan bool)
	go func() { // on a thread of its own
		runtime.LockOSThread()
		close(others)
		select {}
	}()
	<-others
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == leader {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	runtime.LockOSThread() // main runs on the first thread: end that alone
	if unix.Gettid() == leader {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
	select {}
}

// chrootPart goes into the root that its argument names.
func chrootPart() {
	fail(unix.Chroot(os.Args[1]))
	fail(unix.Chdir("/"))
	ready()
}

// answer is what a part of kind "find" saw.
type answer struct {
	Method, Why, Fallback, Error string
	Denied, Len                  int
}

// findPart runs Find by the method that its argument names.
func findPart() {
	t, err := Find(context.Background(), Query{Method: os.Args[1], ProcRoot: os.Args[2]})
	var a answer
	if err != nil {
		a.Error = err.Error()
	} else {
		a = answer{Method: t.Method(), Why: t.Why(), Denied: t.Denied(), Len: t.Len()}
		if t.Fallback() != nil {
			a.Fallback = t.Fallback().Error()
		}
	}
	fail(json.NewEncoder(os.Stdout).Encode(a))
}

// player is a running part.
type player struct {
	*exec.Cmd
	values []uint64 // what it said when it was ready
}

func (p *player) pid() int32 { return int32(p.Process.Pid) }

// play starts a part inside a namespace and waits until it is ready.
func play(t testing.TB, ns *nettest.NS, part string, files []*os.File, change func(*exec.Cmd)) *player {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &player{Cmd: ns.Command(self)}
	p.Env = append(os.Environ(), playVariable+"="+part)
	p.ExtraFiles = files
	p.Stderr = os.Stderr
	if change != nil {
		change(p.Cmd)
	}
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) == 0 || words[0] != "ready" {
		t.Fatalf("part %s: %q %v", part, line, err)
	}
	for _, word := range words[1:] {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p.values = append(p.values, n)
	}
	return p
}

// pass sends a descriptor to a part of kind "receive".
func pass(t *testing.T, ns *nettest.NS, f *os.File) *player {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "pair")
	defer theirs.Close()
	defer unix.Close(pair[0])
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(int(f.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	return play(t, ns, "receive", []*os.File{theirs}, nil)
}

func fileOf(t *testing.T, ln net.Listener) (*os.File, uint64) {
	t.Helper()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, st.Sys().(*syscall.Stat_t).Ino
}
