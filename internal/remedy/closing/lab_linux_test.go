package closing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/remedy"
	"github.com/portreeve/portreeve/internal/remedy/serverconf"
)

// The test's program is the closing process, the servers, and systemctl.
const helperEnv = "CLOSING_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "":
		os.Exit(m.Run())
	case "act":
		os.Exit(act(os.Stdin))
	case "serve":
		if len(os.Args) == 2 && strings.HasSuffix(os.Args[1], "inetd.conf") {
			fakeInetd(os.Args[1])
		}
		serve(os.Args[1:])
	case "systemctl":
		os.Exit(fakeSystemctl(os.Getenv("FAKE_SYSTEMD"), os.Args[1:]))
	}
	os.Exit(0)
}

// serve listens on the addresses given and answers nothing.
func serve(addrs []string) {
	for _, a := range addrs {
		if rest, ok := strings.CutPrefix(a, "udp:"); ok {
			if _, err := net.ListenPacket("udp", rest); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			continue
		}
		l, err := net.Listen("tcp", a)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			for {
				if c, err := l.Accept(); err == nil {
					_ = c.Close()
				}
			}
		}()
	}
	fmt.Println("listens")
	select {}
}

// order is what a helper process does, and where it dies.
type order struct {
	What     string // close, plan, undo, recover
	State    string
	Ports    []Port
	How      How
	Now      bool
	Force    bool
	Keep     bool
	Override []string
	Docker   string
	Boxed    string // a container's ID: what processes named "boxed" hold is in it
	Runtime  string // of that container
	Root     string // init scripts, their links and PID files are below it
	Local    []Port // the policy expects these on loopback
	Patience time.Duration
	Kill     int    // die by SIGKILL before the Kill-th step
	Believe  bool   // only the kernel's list is asked, which takes no time
	Answers  bool   // whatever is asked answers, so that no closing is verified
	Hang     string // say so and wait for ever before this step
}

// answer is what it says.
type answer struct {
	Steps   []string
	Plan    *Plan
	Refused []Refusal
	Result  *Result
	Err     string
	Hint    string
	Reason  remedy.Reason
	Diffs   []Diff
}

func act(in io.Reader) int {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		fmt.Println("order:", err)
		return 1
	}
	var a answer
	m := o.machine()
	if fake := os.Getenv("FAKE_SYSTEMD"); fake != "" {
		m.Look = fakeLook(fake)
	}
	if o.Believe {
		m.Ask = func(_ context.Context, eps []exposure.Endpoint) ([]exposure.Endpoint, error) {
			if o.How != Rebind {
				return nil, nil
			}
			return slices.DeleteFunc(slices.Clone(eps), func(e exposure.Endpoint) bool { return !loopback(e.Addr.IP) }), nil
		}
	}
	if o.Answers {
		m.Ask = func(_ context.Context, eps []exposure.Endpoint) ([]exposure.Endpoint, error) { return eps, nil }
	}
	if os.Getenv("CLOSING_NO_NFT") != "" {
		m.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if name == "nft" {
				return nil, exec.ErrNotFound
			}
			return runDetached(ctx, stdin, name, args...)
		}
	}
	if o.Boxed != "" {
		m.Look = o.lookBoxed
	}
	m.Step = func(name string) {
		a.Steps = append(a.Steps, name)
		if o.Hang != "" && strings.HasPrefix(name, o.Hang) {
			fmt.Println("hangs")
			select {}
		}
		if o.Kill == len(a.Steps) {
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
	}
	err := a.act(context.Background(), o, m)
	if err != nil {
		a.Err, a.Reason = err.Error(), remedy.ReasonOf(err)
		var e *remedy.Error
		if errors.As(err, &e) {
			a.Hint = e.Hint
		}
		var c *Changed
		if errors.As(err, &c) {
			a.Diffs = c.Diffs
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(a)
	return 0
}

// machine is the host, with its init scripts elsewhere where that is asked for.
func (o *order) machine() Machine {
	m := Machine{DockerSocket: o.Docker, Patience: o.Patience}
	if o.Root == "" {
		return m
	}
	m.Files = serverconf.FS(os.DirFS(o.Root))
	m.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		switch {
		case strings.HasPrefix(name, "/etc/init.d/"), slices.Contains([]string{"update-rc.d", "rc-service", "rc-update"}, name):
			name = filepath.Join(o.Root, name)
		}
		return runDetached(ctx, stdin, name, args...)
	}
	return m
}

// lookBoxed is the machine's own look, with what lives in a container.
func (o *order) lookBoxed(ctx context.Context) (exposure.Snapshot, error) {
	snap, err := look(ctx)
	for i := range snap.Sockets {
		if s := &snap.Sockets[i]; name(s) == "boxed" {
			s.Container = &exposure.Container{ID: o.Boxed, Name: "box", Runtime: o.Runtime}
		}
	}
	return snap, err
}

func (o *order) policy() *policy.Policy {
	if len(o.Local) == 0 {
		return nil
	}
	p := &policy.Policy{}
	for _, x := range o.Local {
		p.Expect = append(p.Expect, policy.Expect{Port: policy.PortRange{Proto: x.Proto, First: x.Port, Last: x.Port}, Scope: policy.ScopeName(exposure.ScopeLoopback)})
	}
	return p
}

func (a *answer) act(ctx context.Context, o order, m Machine) (err error) {
	switch o.What {
	case "undo":
		a.Result, err = Undo(ctx, UndoOptions{StateDir: o.State, Keep: o.Keep, Machine: m})
		return err
	case "recover":
		_, err = Recover(ctx, o.State, m)
		return err
	}
	p, err := Prepare(ctx, Options{StateDir: o.State, Ports: o.Ports, How: o.How, Now: o.Now, Force: o.Force, Override: o.Override, Policy: o.policy(), Machine: m})
	if err != nil {
		return err
	}
	a.Plan, a.Refused = p, p.Refused
	if o.What == "plan" {
		return p.Err()
	}
	a.Result, err = p.Apply(ctx)
	return err
}

// lab is a host: a namespace with a neighbour.
type lab struct {
	t        *testing.T
	ns, peer *nettest.NS
	state    string
	env      []string
	folder   string // where servers are started; "" for one of their own
}

const (
	hostAddr = "192.0.2.1"
	peerAddr = "192.0.2.2"
)

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, ns: nettest.New(t), peer: nettest.New(t), state: filepath.Join(t.TempDir(), "state")}
	nettest.Veth(t, l.ns, l.peer, hostAddr+"/24", peerAddr+"/24")
	return l
}

func self() string {
	exe, _ := os.Executable()
	return exe
}

// start runs a server in the host until the test ends, whoever restarts it.
func (l *lab) start(name string, addrs ...string) *exec.Cmd {
	l.t.Helper()
	bin := filepath.Join(l.t.TempDir(), name)
	if err := os.Symlink(self(), bin); err != nil {
		l.t.Fatal(err)
	}
	return l.run(append([]string{bin}, addrs...), nil)
}

// run starts an argv that says "listens", and ends whatever listens in the
// host with the test.
func (l *lab) run(argv []string, wrap []string) *exec.Cmd {
	l.t.Helper()
	full := slices.Concat([]string{"/usr/bin/env", helperEnv + "=serve", "MARK=kept"}, wrap, argv)
	cmd := l.ns.Command(full[0], full[1:]...)
	if cmd.Dir = l.folder; cmd.Dir == "" {
		cmd.Dir = l.t.TempDir()
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	l.t.Cleanup(l.sweep)
	buf := make([]byte, 64)
	if n, _ := out.Read(buf); !bytes.HasPrefix(buf[:n], []byte("listens")) {
		l.t.Fatalf("%v said %q", argv, buf[:n])
	}
	return cmd
}

// sweep ends every process of the host's namespace.
func (l *lab) sweep() {
	out, _ := exec.Command("ip", "netns", "pids", l.ns.Name).Output()
	for pid := range strings.FieldsSeq(string(out)) {
		if n, err := strconv.Atoi(pid); err == nil {
			if p, err := os.FindProcess(n); err == nil {
				_ = p.Kill()
			}
		}
	}
}

func (l *lab) helper(o order) *exec.Cmd {
	o.State = l.state
	if o.Patience == 0 {
		o.Patience = 2 * time.Second
	}
	data, _ := json.Marshal(o)
	cmd := l.ns.Command("/usr/bin/env", append(append([]string{helperEnv + "=act"}, l.env...), self())...)
	cmd.Stdin = bytes.NewReader(data)
	cmd.Stderr = os.Stderr
	return cmd
}

// do runs a helper to its end; a killed one gives nil.
func (l *lab) do(o order) *answer {
	l.t.Helper()
	out, err := l.helper(o).Output()
	if err != nil {
		return nil
	}
	a := &answer{}
	if err := json.Unmarshal(out, a); err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	return a
}

func (l *lab) must(o order) *answer {
	l.t.Helper()
	a := l.do(o)
	if a == nil || a.Err != "" {
		l.t.Fatalf("%+v: %+v", o, a)
	}
	return a
}

// listening lists what ss sees: the oracle.
func (l *lab) listening() string {
	l.t.Helper()
	var out []string
	for line := range strings.Lines(l.ns.Run("ss", "-Htuln")) {
		f := strings.Fields(line)
		out = append(out, f[0]+"/"+f[4])
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (l *lab) await(want string) {
	l.t.Helper()
	var got string
	for range 100 {
		if got = l.listening(); got == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	l.t.Errorf("listening: %q, want %q", got, want)
}

// reaches reports that a neighbour can connect.
func (l *lab) reaches(addr string) bool {
	ok := false
	l.peer.Do(func() {
		c, err := net.DialTimeout("tcp", addr, 700*time.Millisecond)
		if ok = err == nil; ok {
			_ = c.Close()
		}
	})
	return ok
}

func tcp(ports ...uint16) (out []Port) {
	for _, p := range ports {
		out = append(out, Port{exposure.TCP, p})
	}
	return out
}

// outcomes lists the journal's outcomes, oldest first.
func (l *lab) outcomes() (out []Outcome) {
	l.t.Helper()
	list, err := List(l.state)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, x := range list {
		out = append(out, x.Outcome)
	}
	return out
}
