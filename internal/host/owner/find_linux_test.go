package owner

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

func find(t *testing.T, q Query) *Table {
	t.Helper()
	table, err := Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// haveBTF is what the iterator needs of a kernel; where it is there the
// iterator must work.
func haveBTF() bool {
	_, err := os.Stat("/sys/kernel/btf/vmlinux")
	return err == nil
}

// methods are what must agree.
func methods() map[string]Query {
	list := map[string]Query{"walk": {Method: MethodWalk}, "chosen": {}}
	if haveBTF() {
		list["bpf"] = Query{Method: MethodBPF}
		list["bpf listening"] = Query{Method: MethodBPF, Listening: true}
	}
	return list
}

// One listener in many hands: the opener, a child that inherited it, one that
// was sent it, one in a PID namespace of its own; and listeners that share a
// port, or live in one thread's own file table. Every method gives the same
// holders.
func TestEveryHolderIsFound(t *testing.T) {
	ns := nettest.New(t)
	shared, inode := fileOf(t, ns.Listen("tcp", "127.0.0.1:8080"))
	inherits := play(t, ns, "hold", []*os.File{shared}, nil)
	received := pass(t, ns, shared)
	nested := play(t, ns, "hold", []*os.File{shared}, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	})
	first := play(t, ns, "reuseport", nil, nil)
	second := play(t, ns, "reuseport", nil, nil)

	for name, q := range methods() {
		table := find(t, q)
		have := table.Holders(inode)
		for _, p := range []*player{inherits, nested} {
			if !slices.Contains(have, Holder{p.pid(), 3}) {
				t.Errorf("%s: descriptor 3 of %d is missing: %v", name, p.pid(), have)
			}
		}
		if want := (Holder{received.pid(), int32(received.values[0])}); !slices.Contains(have, want) {
			t.Errorf("%s: %v (sent by SCM_RIGHTS) is missing: %v", name, want, have)
		}
		if mine := holdersOf(have, int32(os.Getpid())); len(mine) != 2 { // the listener and its File
			t.Errorf("%s: this process holds it twice, not %v", name, mine)
		}
		if len(have) != 5 {
			t.Errorf("%s: five descriptors, not %v", name, have)
		}
		for _, p := range []*player{first, second} {
			if have := table.Holders(p.values[0]); len(have) != 1 || have[0].PID != p.pid() {
				t.Errorf("%s: inode %d is held by %d, not %v", name, p.values[0], p.pid(), have)
			}
		}
		if q.Method != "" && q.Method != table.Method() {
			t.Errorf("%s: method is %q", name, table.Method())
		}
	}
}

func holdersOf(list []Holder, pid int32) []Holder {
	return slices.DeleteFunc(slices.Clone(list), func(h Holder) bool { return h.PID != pid })
}

// A thread with a file table of its own, and one whose leader has ended, hold
// sockets that the leader's fd folder does not show.
func TestThreadsWithTheirOwnTable(t *testing.T) {
	ns, other := nettest.New(t), nettest.New(t)
	for part, p := range map[string]*player{
		"thread":        play(t, ns, "thread", nil, nil),
		"zombie-leader": play(t, other, "zombie-leader", nil, nil),
	} {
		var answers [][]Holder
		for name, q := range methods() {
			have := find(t, q).Holders(p.values[0])
			if len(have) != 1 || have[0].PID != p.pid() {
				t.Errorf("%s, %s: inode %d is held by %d, not %v", part, name, p.values[0], p.pid(), have)
			}
			answers = append(answers, have)
		}
		for _, a := range answers[1:] {
			if diff := cmp.Diff(answers[0], a); diff != "" {
				t.Errorf("%s: methods disagree:\n%s", part, diff)
			}
		}
	}
}

// lsof is the oracle for what this process holds.
func TestAgreesWithLsof(t *testing.T) {
	lsof := nettest.Need(t, "lsof")
	ns := nettest.New(t)
	ns.Listen("tcp", "127.0.0.1:8081")
	ns.Listen("tcp", "[::1]:8082")
	ns.ListenPacket("udp", "127.0.0.1:8083")
	pid := int32(os.Getpid())
	want := lsofSockets(ns.Run(lsof, "-nP", "-a", "-i", "-p", strconv.Itoa(int(pid)), "-F", "fd"))
	if len(want) != 3 {
		t.Fatalf("lsof sees %v", want)
	}
	for name, q := range methods() {
		table := find(t, q)
		for fd, inode := range want {
			if !slices.Contains(table.Holders(inode), Holder{pid, fd}) {
				t.Errorf("%s: lsof has descriptor %d for inode %d, we have %v", name, fd, inode, table.Holders(inode))
			}
		}
	}
}

// lsofSockets reads fields f (descriptor) and d (device, for a socket its
// inode) of lsof -F.
func lsofSockets(out string) map[int32]uint64 {
	list := map[int32]uint64{}
	fd := 0
	for line := range strings.Lines(out) {
		value := strings.TrimSpace(line[1:])
		switch line[0] {
		case 'f':
			fd, _ = strconv.Atoi(value)
		case 'd':
			if inode, err := strconv.ParseUint(value, 10, 64); err == nil {
				list[int32(fd)] = inode
			}
		}
	}
	return list
}

// What may be a listener passes the kernel's filter, what is none does not.
func TestListeningFilter(t *testing.T) {
	if !haveBTF() {
		t.Skip("this kernel shows no BTF: there is no filter to test")
	}
	ns := nettest.New(t)
	inet := func(kind int, prepare func(fd int) error) func() (int, error) {
		return func() (int, error) { return open(unix.AF_INET, kind, 0, prepare) }
	}
	bind := func(fd int) error { return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}) }
	cases := map[string]struct {
		open func() (int, error)
		want bool
	}{
		"tcp listen": {inet(unix.SOCK_STREAM, func(fd int) error {
			return errors.Join(bind(fd), unix.Listen(fd, 1))
		}), true},
		"tcp bound":       {inet(unix.SOCK_STREAM, bind), false},
		"udp unconnected": {inet(unix.SOCK_DGRAM, bind), true},
		"udp connected": {inet(unix.SOCK_DGRAM, func(fd int) error {
			return unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9})
		}), false},
		"raw":     {func() (int, error) { return open(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, nil) }, true},
		"packet":  {func() (int, error) { return open(unix.AF_PACKET, unix.SOCK_DGRAM, 0, nil) }, true},
		"netlink": {func() (int, error) { return open(unix.AF_NETLINK, unix.SOCK_RAW, 0, nil) }, false},
		"unix":    {func() (int, error) { return open(unix.AF_UNIX, unix.SOCK_STREAM, 0, nil) }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var fd int
			var err error
			ns.Do(func() { fd, err = c.open() })
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				t.Fatal(err)
			}
			me := Holder{int32(os.Getpid()), int32(fd)}
			if got := slices.Contains(find(t, Query{Method: MethodBPF, Listening: true}).Holders(st.Ino), me); got != c.want {
				t.Errorf("listening: %v, want %v", got, c.want)
			}
			for _, q := range []Query{{Method: MethodBPF}, {Method: MethodWalk, Listening: true}} {
				if !slices.Contains(find(t, q).Holders(st.Ino), me) {
					t.Errorf("%+v does not find it", q)
				}
			}
		})
	}
}

func open(family, kind, proto int, prepare func(int) error) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
	if err == nil && prepare != nil {
		err = prepare(fd)
	}
	return fd, err
}

// run starts a part of kind "find" behind other programs and reads its answer.
func run(t *testing.T, method string, before ...string) answer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(before, self, method, "/proc")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), playVariable+"=find")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// nobody runs a program as a user without any privilege.
var nobody = []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to change the user")
	}
	nettest.Need(t, "setpriv")
	nettest.Need(t, "unshare")
}

// Without privilege the walk counts whom it may not read, and names the
// capabilities.
func TestWithoutPrivilege(t *testing.T) {
	needRoot(t)
	a := run(t, "", nobody...)
	if a.Method != MethodWalk || a.Denied == 0 || a.Error != "" {
		t.Errorf("want a walk that was denied some: %+v", a)
	}
	for _, capability := range []string{"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"} {
		if !strings.Contains(a.Why, capability) {
			t.Errorf("the reason does not name %s: %q", capability, a.Why)
		}
	}
	if !strings.Contains(a.Fallback, "CAP_BPF") {
		t.Errorf("the fallback does not name CAP_BPF: %q", a.Fallback)
	}
	if a := run(t, MethodBPF, nobody...); !strings.Contains(a.Error, "CAP_BPF") {
		t.Errorf("asked for BPF alone: %+v", a)
	}
}

// With hidepid=2 other users' processes are not even listed, so that nothing
// is denied and yet something is missing.
func TestHidePID(t *testing.T) {
	needRoot(t)
	for option, says := range map[string]string{"hidepid=2": "hidepid=", "hidepid=1": "could not be read"} {
		mount := "mount -t proc -o " + option + " proc /proc && exec \"$@\""
		a := run(t, "", append([]string{"unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"}, nobody...)...)
		if !strings.Contains(a.Why, says) || !strings.Contains(a.Why, "CAP_SYS_PTRACE") {
			t.Errorf("%s: the reason is %q", option, a.Why)
		}
		if option == "hidepid=2" && a.Denied != 0 {
			t.Errorf("nothing that is listed is denied: %+v", a)
		}
		root := run(t, MethodWalk, "unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh")
		if strings.Contains(root.Why, "hidepid") {
			t.Errorf("%s: root sees all: %q", option, root.Why)
		}
	}
}

// In a PID namespace with another's /proc the iterator would number processes
// otherwise than /proc does: it is not used.
func TestOtherPIDNamespace(t *testing.T) {
	needRoot(t)
	a := run(t, "", "unshare", "-p", "-f")
	if a.Method != MethodWalk || !strings.Contains(a.Fallback, "PID namespace") {
		t.Errorf("with the outer /proc: %+v", a)
	}
	if a := run(t, MethodBPF, "unshare", "-p", "-f"); !strings.Contains(a.Error, "PID namespace") {
		t.Errorf("asked for BPF alone: %+v", a)
	}
	if !haveBTF() {
		t.Skip("this kernel shows no BTF: the iterator cannot be tried inside")
	}
	if a := run(t, MethodBPF, "unshare", "-p", "-f", "--mount-proc"); a.Error != "" || a.Method != MethodBPF {
		t.Errorf("with its own /proc: %+v", a)
	}
}
