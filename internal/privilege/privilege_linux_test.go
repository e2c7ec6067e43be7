package privilege

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

// told is what the child saw of itself.
type told struct {
	Err      string
	Dropped  []string
	Threads  map[string]map[string]string // by thread: fields of its status
	Raw      string                       // opening a raw socket
	Late     string                       // the same in a thread made later
	Program  string                       // CapEff of a program that it starts
	Have     []string
	Dumpable int
}

// TestMain is also the child that drops: PRIVILEGE_KEEP says what it keeps.
func TestMain(m *testing.M) {
	keep, ok := os.LookupEnv("PRIVILEGE_KEEP")
	if !ok {
		os.Exit(run(m))
	}
	_ = json.NewEncoder(os.Stdout).Encode(drop(keep))
}

func drop(keep string) (out told) {
	set := Set(0)
	for c := Capability(0); c < 41; c++ {
		if strings.Contains(" "+keep+" ", " "+c.String()+" ") {
			set |= SetOf(c)
		}
	}
	// Threads that exist before, locked and asleep in the kernel.
	ready := make(chan bool)
	for range 5 {
		go func() {
			runtime.LockOSThread()
			ready <- true
			select {}
		}()
		<-ready
	}
	dropped, err := Drop(set, NotDumpable)
	out.Dropped = dropped.Names()
	if err != nil {
		out.Err = err.Error()
		if errors.Is(err, ErrUnsupported) {
			out.Err = "unsupported"
		}
		return out
	}
	out.Raw = raw()
	late := make(chan string)
	for range 5 {
		go func() {
			runtime.LockOSThread()
			late <- raw()
			select {}
		}()
		out.Late += <-late
	}
	have, _ := Have()
	out.Have = have.Names()
	out.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	b, _ := exec.Command("/bin/grep", "CapEff", "/proc/self/status").Output()
	out.Program = strings.TrimSpace(strings.TrimPrefix(string(b), "CapEff:"))
	out.Threads = threads()
	return out
}

func raw() string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	if err != nil {
		return err.Error()
	}
	_ = unix.Close(fd)
	return "opened"
}

func threads() map[string]map[string]string {
	out := map[string]map[string]string{}
	list, _ := filepath.Glob("/proc/self/task/*/status")
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(b)) {
			k, v, _ := strings.Cut(line, ":")
			fields[k] = strings.TrimSpace(v)
		}
		out[path] = fields
	}
	return out
}

// built is the folder of the one child.
var built string

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "privilege")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = dir
	if err := os.Chmod(dir, 0o755); err != nil { // other users run it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// pure builds this test without cgo, once: with it, Go does not know all
// threads.
func pure(t *testing.T) string {
	t.Helper()
	path := filepath.Join(built, "child")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", "test", "-c", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build without cgo: %v\n%s", err, out)
	}
	return path
}

func child(t *testing.T, keep string, argv ...string) (out told) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PRIVILEGE_KEEP="+keep)
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err, string(b))
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return out
}

func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: there is nothing to drop")
	}
}

func TestDrop(t *testing.T) {
	needRoot(t)
	path := pure(t)
	for _, c := range []struct {
		keep string
		raw  string
	}{
		{"", "operation not permitted"},
		{"CAP_SYS_PTRACE CAP_DAC_READ_SEARCH", "operation not permitted"},
		{"CAP_NET_RAW", "opened"},
	} {
		t.Run("keep "+c.keep, func(t *testing.T) {
			out := child(t, c.keep, path)
			want := SetOf()
			for _, name := range strings.Fields(c.keep) {
				want |= map[string]Set{"CAP_SYS_PTRACE": SetOf(SysPtrace), "CAP_DAC_READ_SEARCH": SetOf(DACReadSearch), "CAP_NET_RAW": SetOf(NetRaw)}[name]
			}
			hex := fmt.Sprintf("%016x", uint64(want))
			if out.Err != "" || out.Raw != c.raw || out.Late != strings.Repeat(c.raw, 5) || out.Program != hex || len(out.Dropped) == 0 {
				t.Fatalf("%+v", out)
			}
			if len(out.Threads) < 10 {
				t.Fatalf("only %d threads were looked at", len(out.Threads))
			}
			for path, f := range out.Threads {
				for _, k := range []string{"CapEff", "CapPrm", "CapBnd"} {
					if f[k] != hex {
						t.Errorf("%s: %s is %s, want %s", path, k, f[k], hex)
					}
				}
				if f["NoNewPrivs"] != "1" || f["CapInh"] != strings.Repeat("0", 16) || f["CapAmb"] != strings.Repeat("0", 16) {
					t.Errorf("%s: %v", path, f)
				}
			}
			if out.Dumpable != 0 {
				t.Error("it may be dumped")
			}
		})
	}
}

// TestDropAmbient: what a service manager gives as ambient goes too.
func TestDropAmbient(t *testing.T) {
	needRoot(t)
	path := pure(t)
	setpriv := nettest.Need(t, "setpriv")
	out := child(t, "CAP_SYS_PTRACE", setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+net_raw,+sys_ptrace", "--ambient-caps=+net_raw,+sys_ptrace", path)
	if out.Err != "" || out.Raw != "operation not permitted" || strings.Join(out.Dropped, " ") != "CAP_NET_RAW" {
		t.Fatalf("%+v", out)
	}
	hex := fmt.Sprintf("%016x", uint64(SetOf(SysPtrace)))
	for path, f := range out.Threads {
		if f["CapEff"] != hex || f["CapAmb"] != hex || f["CapInh"] != hex {
			t.Errorf("%s: %v", path, f)
		}
	}
}

// TestDropWithoutSetPCap: root that may not touch its bounding set gives up
// the rest, and what it starts has no more.
func TestDropWithoutSetPCap(t *testing.T) {
	needRoot(t)
	out := child(t, "CAP_SYS_PTRACE", nettest.Need(t, "setpriv"), "--bounding-set=-setpcap", pure(t))
	hex := fmt.Sprintf("%016x", uint64(SetOf(SysPtrace)))
	if out.Err != "" || out.Raw != "operation not permitted" || out.Program != hex {
		t.Fatalf("%+v", out)
	}
	for path, f := range out.Threads {
		if f["CapEff"] != hex || f["CapPrm"] != hex || f["CapBnd"] == hex || f["NoNewPrivs"] != "1" {
			t.Errorf("%s: %v", path, f)
		}
	}
}

// TestDropUnprivileged: there is nothing to give up, and that is no error.
func TestDropUnprivileged(t *testing.T) {
	needRoot(t)
	path := pure(t)
	out := child(t, "CAP_BPF", nettest.Need(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", path)
	if out.Err != "" || len(out.Dropped) != 0 || len(out.Have) != 0 {
		t.Fatalf("%+v", out)
	}
}

// TestNamesBesideCapsh: libcap knows the same names for the same bits.
func TestNamesBesideCapsh(t *testing.T) {
	capsh := nettest.Need(t, "capsh")
	for c := Capability(0); c < 41; c++ {
		out := nettest.Run(t, capsh, fmt.Sprintf("--decode=%x", uint64(SetOf(c))))
		if _, name, _ := strings.Cut(strings.TrimSpace(out), "="); !strings.EqualFold(name, c.String()) {
			t.Errorf("%d: %s, capsh says %s", c, c, name)
		}
	}
}

// TestDropCost: it must not be felt when a command starts.
func TestDropCost(t *testing.T) {
	needRoot(t)
	path := pure(t)
	begun := time.Now()
	child(t, "", path)
	if took := time.Since(begun); took > 2*time.Second {
		t.Fatal(took)
	}
}
