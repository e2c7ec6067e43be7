package remedy

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
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The test's program is its own guard and its own applying process.
const helperEnv = "REMEDY_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "":
		os.Exit(m.Run())
	case "guard":
		if err := Guard(context.Background(), os.Args[len(os.Args)-1], Machine{}, os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "apply":
		os.Exit(helperApply(os.Stdin))
	case "serve":
		helperServe(os.Args[1])
	}
	os.Exit(0)
}

// order is what a helper process is to apply, and where it is to stop.
type order struct {
	State  string
	Load   []Load
	Within time.Duration
	Kill   string // die by SIGKILL before this step
	Hang   string // wait before this step for ever, after saying so
	After  bool   // wait for ever when it is applied
	Wrong  bool   // the check after loading fails
}

// helperApply applies as a process of its own. It says "hangs" or "applied".
func helperApply(in io.Reader) int {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		fmt.Println("order:", err)
		return 1
	}
	opt := Options{StateDir: o.State, Load: o.Load, Within: o.Within, Guard: guardCommand()}
	opt.Step = func(name string) {
		switch name {
		case o.Kill:
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		case o.Hang:
			fmt.Println("hangs")
			select {}
		}
	}
	if o.Wrong {
		opt.Verify = func(context.Context) error { return errors.New("wrong") }
	}
	p, err := Prepare(context.Background(), opt)
	if err != nil {
		fmt.Println("prepare:", err)
		return 1
	}
	if _, err := p.Apply(context.Background()); err != nil {
		fmt.Println("apply:", err)
		return 1
	}
	fmt.Println("applied")
	if o.After {
		select {}
	}
	return 0
}

// helperServe echoes, as sshd would listen.
func helperServe(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listens")
	for {
		c, err := ln.Accept()
		if err != nil {
			os.Exit(1)
		}
		go func() { _, _ = io.Copy(c, c) }()
	}
}

func self() string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exe
}

func guardCommand() []string {
	return []string{"/usr/bin/env", helperEnv + "=guard", self(), "--journal"}
}

// lab is a namespace and a journal.
type lab struct {
	t     *testing.T
	ns    *nettest.NS
	state string
	// machine is what Confirm, Undo and List are given.
	machine Machine
}

func newLab(t *testing.T) *lab {
	t.Helper()
	nettest.Need(t, "nft")
	l := &lab{t: t, ns: nettest.New(t), state: filepath.Join(t.TempDir(), "state")}
	t.Cleanup(l.ended)
	return l
}

// ended waits until no guard of this journal runs: the namespace goes, and
// what a guard would do then is of no use.
func (l *lab) ended() {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		busy := false
		list, _ := List(context.Background(), l.state, Machine{})
		for _, x := range list {
			busy = busy || l.guarded(x)
			if x.Guarded { // open
				l.ns.Do(func() { _, _ = Undo(context.Background(), l.state, Machine{}) })
			}
		}
		if !busy {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	l.t.Error("a guard is left behind")
}

func (l *lab) options(within time.Duration, load ...Load) Options {
	return Options{StateDir: l.state, Load: load, Within: within, Guard: guardCommand(), Machine: l.machine}
}

func (l *lab) prepare(o Options) (p *Plan, err error) {
	l.t.Helper()
	l.ns.Do(func() { p, err = Prepare(l.t.Context(), o) })
	return p, err
}

func (l *lab) apply(o Options) (a *Applied, err error) {
	l.t.Helper()
	l.ns.Do(func() {
		var p *Plan
		if p, err = Prepare(l.t.Context(), o); err == nil {
			a, err = p.Apply(l.t.Context())
		}
	})
	return a, err
}

func (l *lab) mustApply(o Options) *Applied {
	l.t.Helper()
	a, err := l.apply(o)
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

func (l *lab) confirm() (d *Decided, err error) {
	l.ns.Do(func() { d, err = Confirm(l.t.Context(), l.state, l.machine) })
	return d, err
}

func (l *lab) undo() (d *Decided, err error) {
	l.ns.Do(func() { d, err = Undo(l.t.Context(), l.state, l.machine) })
	return d, err
}

// later is the machine's clock, some time ahead, maybe after a restart.
type later struct {
	machineClock
	by   time.Duration
	boot string
}

func (c later) SinceBoot() (time.Duration, error) {
	since, err := c.machineClock.SinceBoot()
	return since + c.by, err
}

func (c later) Boot() (string, error) {
	if c.boot != "" {
		return c.boot, nil
	}
	return c.machineClock.Boot()
}

func (l *lab) list() []Listed {
	l.t.Helper()
	list, err := List(l.t.Context(), l.state, l.machine)
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

// rules is everything that filters, without counters: nftables, and the
// legacy tables where they exist.
func (l *lab) rules() (out string) {
	l.t.Helper()
	l.ns.Do(func() {
		out = l.tool("nft", "-s", "list", "ruleset")
		for _, program := range []string{"iptables", "ip6tables"} {
			file := strings.Replace(program, "tables", "_tables_names", 1)
			names, _ := os.ReadFile("/proc/thread-self/net/" + file) // none without legacy tables
			for _, table := range strings.Fields(string(names)) {
				out += legacyRules(l.tool(program+"-legacy-save", "-t", table))
			}
		}
	})
	return out
}

// tool runs a program on the calling thread, so in its namespace.
func (l *lab) tool(name string, args ...string) string {
	l.t.Helper()
	out, err := run(context.Background(), nil, name, args...)
	if err != nil {
		l.t.Error(err)
	}
	return string(out)
}

// legacyRules drops comments, and counters of policies.
func legacyRules(save string) string {
	var b strings.Builder
	for line := range strings.Lines(save) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, ":") {
			line, _, _ = strings.Cut(line, " [")
			line += "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// await waits until the rules are want, and says how long that took.
func (l *lab) await(want string, most time.Duration) time.Duration {
	l.t.Helper()
	begun := time.Now()
	for {
		got := l.rules()
		if got == want {
			return time.Since(begun)
		}
		if time.Since(begun) > most {
			l.t.Fatalf("not restored after %s:\n%s\nwant:\n%s\n%s", most, got, want, l.logs())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitGuard waits until the guard of the newest change has ended.
func (l *lab) awaitGuard() {
	l.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		list := l.list()
		if n := len(list); n == 0 || !l.guarded(list[n-1]) {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatal("the guard does not end\n" + l.logs())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *lab) guarded(x Listed) bool {
	e, err := readEntry(x.Dir)
	return err == nil && guarded(context.Background(), e) // the test's context ends before its cleanup
}

// logs are what the guards said.
func (l *lab) logs() string {
	files, _ := filepath.Glob(filepath.Join(changesDir(l.state), "*", guardLog))
	var b strings.Builder
	for _, f := range files {
		data, _ := os.ReadFile(f)
		b.Write(data)
	}
	return b.String()
}

// helper starts an applying process of its own session.
func (l *lab) helper(o order) (*exec.Cmd, *bytes.Buffer) {
	l.t.Helper()
	o.State = l.state
	data, err := json.Marshal(o)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := l.ns.Command("/usr/bin/setsid", "/usr/bin/env", helperEnv+"=apply", self())
	cmd.Stdin = bytes.NewReader(data)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// loads are the rules of a name for every backend that the tests know.
func loads(kind string) []Load {
	switch kind {
	case "nft":
		return []Load{{"nft", []byte(web)}}
	case "iptables":
		return []Load{{"iptables", []byte(webSave)}, {"ip6tables", []byte(webSave)}}
	}
	return []Load{{"iptables-" + kind, []byte(webSave)}, {"ip6tables-" + kind, []byte(webSave)}}
}

// kinds are the ways to load rules.
func kinds(t *testing.T) []string {
	nettest.Need(t, "iptables-nft-restore")
	nettest.Need(t, "iptables-legacy-restore")
	return []string{"nft", "iptables", "legacy"}
}
