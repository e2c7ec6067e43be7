package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// The lab plants every situation that the audit must tell apart in one
// namespace, and runs the real program in it. The test binary itself, started
// with labMode, plays the services.
const labMode = "PORTREEVE_LAB"

func TestMain(m *testing.M) {
	if spec := os.Getenv(labMode); spec != "" {
		playServices(spec)
		return
	}
	if config := os.Getenv(jobsMode); config != "" {
		runJobs(config)
		return
	}
	os.Exit(m.Run())
}

// playServices listens as told ("network addr greeting" joined by |) and says
// when it is ready. It ends when its standard input does.
func playServices(spec string) {
	for one := range strings.SplitSeq(spec, "|") {
		f := strings.SplitN(one, " ", 3)
		ln, err := net.Listen(f[0], f[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go greetAll(ln, f[2])
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func greetAll(ln net.Listener, greeting string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if greeting == "redis" {
				answerRedis(c)
				return
			}
			if greeting != "silent" {
				fmt.Fprintf(c, "%s\r\n", greeting)
			}
			_, _ = io.Copy(io.Discard, c)
		}()
	}
}

func answerRedis(c net.Conn) {
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if strings.Contains(strings.ToUpper(lines.Text()), "PING") {
			fmt.Fprint(c, "+PONG\r\n")
		}
	}
}

// lab is a namespace with a neighbour behind it.
type lab struct {
	t       *testing.T
	ns      *nettest.NS
	program string
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, ns: nettest.New(t), program: buildProgram(t)}
	l.ns.Script("ip link add eth0 type veth peer name peer0; ip addr add 10.7.0.1/24 dev eth0; ip -6 addr add fd07::1/64 dev eth0 nodad; ip link set eth0 up; ip link set peer0 up")
	return l
}

func buildProgram(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "portreeve")
	cmd := exec.Command("go", "build", "-o", out, "../../cmd/portreeve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	return out
}

// serve copies the test binary to path and starts it with services.
func (l *lab) serve(ns *nettest.NS, path, spec string) {
	l.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, self, 0o755); err != nil {
		l.t.Fatal(err)
	}
	cmd := ns.Command(path)
	cmd.Env = append(os.Environ(), labMode+"="+spec)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitReady(l.t, out, path)
}

func waitReady(t *testing.T, out io.Reader, what string) {
	t.Helper()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("%s: %q %v", what, line, err)
	}
}

// implant answers SYNs to one port from a packet socket, as backdoors do,
// while the kernel resets the same connections.
func (l *lab) implant(port int) {
	l.t.Helper()
	python := nettest.Need(l.t, "python3")
	cmd := l.ns.Command(python, "testdata/implant.py", fmt.Sprint(port))
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitReady(l.t, out, "implant")
}

// run runs the program in the lab and returns its output and exit code.
func (l *lab) run(args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	cmd := l.ns.Command(l.program, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		l.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// audit runs the audit and reads its JSON.
func (l *lab) audit(args ...string) audit.Report {
	l.t.Helper()
	out, errs, code := l.run(append([]string{"audit", "--json"}, args...)...)
	var rep audit.Report
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		l.t.Fatalf("exit %d: %v\n%s\n%s", code, err, errs, out)
	}
	return rep
}

// ofPorts is the set of "rule port" of findings of low and above.
func ofPorts(rep audit.Report) []string {
	var out []string
	for _, f := range rep.Findings {
		if f.Severity.Rank() < exposure.Low.Rank() {
			continue
		}
		one := f.Rule + " " + f.Endpoint[strings.LastIndexByte(f.Endpoint, ':')+1:]
		if !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	slices.Sort(out)
	return out
}

func verdictOf(t *testing.T, rep audit.Report, port uint16) exposure.Verdict {
	t.Helper()
	for i := range rep.Endpoints {
		if rep.Endpoints[i].Port == port {
			return rep.Endpoints[i].Verdict
		}
	}
	t.Errorf("no row for port %d", port)
	return ""
}

func TestLabFindsEachPlantedSituationAndNothingElse(t *testing.T) {
	l := newLab(t)
	web := nettest.New(t)
	nettest.Veth(t, l.ns, web, "web0=10.7.1.1/24", "10.7.1.2/24")
	web.Run("ip", "route", "add", "default", "via", "10.7.1.1")
	clean, dirty := programDir(t, 0o755), programDir(t, 0o755)
	l.serve(web, filepath.Join(clean, "webd"), "tcp 10.7.1.2:80 silent")
	l.serve(l.ns, filepath.Join(clean, "svcd"), strings.Join([]string{
		"tcp 10.7.0.1:443 SSH-2.0-OpenSSH_9.2", "tcp 0.0.0.0:23 silent", "tcp 0.0.0.0:6379 redis",
		"tcp 127.0.0.1:3306 silent", "tcp [::1]:8125 silent", "tcp 0.0.0.0:5432 silent"}, "|"))
	l.serve(l.ns, filepath.Join(dirty, "gone"), "tcp 10.7.0.1:2222 SSH-2.0-OpenSSH_9.2")
	l.serve(l.ns, filepath.Join(dirty, "open"), "tcp 10.7.0.1:22 SSH-2.0-OpenSSH_9.2")
	must(t, os.Remove(filepath.Join(dirty, "gone")))
	must(t, os.Chmod(filepath.Join(dirty, "open"), 0o777))
	l.implant(4444)
	l.ns.Script(`nft -f - <<X
table inet filter {
	chain input {
		type filter hook input priority 0; policy accept;
		iif lo accept
		tcp dport 5432 drop
	}
}
table ip nat {
	chain prerouting { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.7.1.2:80; }
	chain output { type nat hook output priority -100; ip daddr 10.7.0.1 tcp dport 8081 dnat to 10.7.1.2:80; }
	chain pre2 { type nat hook prerouting priority -99; ip daddr 10.7.0.1 tcp dport 8081 dnat to 10.7.1.2:80; }
}
X`)
	rep := l.audit()
	want := []string{"cleartext-service 23", "deleted-binary 2222", "exposed-datastore 6379", "hidden-listener 4444",
		"no-listener 8080", "no-listener 8081", "packet-socket 0", "service-mismatch 443", "world-writable-binary 22"}
	got := slices.DeleteFunc(ofPorts(rep), func(s string) bool { return strings.HasPrefix(s, "unpackaged-binary") })
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s\nincomplete: %v", d, rep.Incomplete)
	}
	for port, want := range map[uint16]exposure.Verdict{4444: exposure.Hidden, 6379: exposure.Exposed, 5432: exposure.Blocked, 3306: exposure.Expected, 8125: exposure.Expected} {
		if got := verdictOf(t, rep, port); got != want {
			t.Errorf("port %d: verdict %s, want %s", port, got, want)
		}
	}
	hidden := rep.Findings[slices.IndexFunc(rep.Findings, func(f exposure.Finding) bool { return f.Rule == "hidden-listener" })]
	if !strings.Contains(strings.Join(hidden.Because, " "), "python3") {
		t.Errorf("the implant's process is not named: %v", hidden.Because)
	}
}

// programDir is a folder that nobody else may write, under a root that keeps
// its modes.
func programDir(t *testing.T, mode os.FileMode) string {
	t.Helper()
	base := "/var/lib/portreeve-test-" + filepath.Base(t.TempDir()) + "-" + fmt.Sprint(time.Now().UnixNano())
	must(t, os.Mkdir(base, mode))
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	return base
}
