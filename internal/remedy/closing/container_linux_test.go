package closing

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/remedy"
)

const boxID = "4f0d2a7c9b1e4f0d2a7c9b1e4f0d2a7c9b1e4f0d2a7c9b1e4f0d2a7c9b1e4f0d"

// engine stands for dockerd: one container, whose server (or docker-proxy) is
// a process of the lab's host. It answers as the Docker Engine API says.
type engine struct {
	lab     *lab
	argv    []string
	labels  map[string]string
	ports   []map[string]any
	rm      bool
	refuses string // a path that is answered by 500

	mu      sync.Mutex
	server  *exec.Cmd // nil while it is stopped
	removed bool
	policy  map[string]any
	asked   []string // what was posted, with its body
}

func newEngine(l *lab, comm string, addrs ...string) (*engine, string) {
	l.t.Helper()
	dir := l.t.TempDir()
	bin, socket := filepath.Join(dir, comm), filepath.Join(dir, "docker.sock")
	if err := os.Symlink(self(), bin); err != nil {
		l.t.Fatal(err)
	}
	e := &engine{lab: l, argv: append([]string{bin}, addrs...), policy: map[string]any{"Name": "no", "MaximumRetryCount": 0}}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		l.t.Fatal(err)
	}
	s := &http.Server{Handler: e}
	go func() { _ = s.Serve(ln) }()
	l.t.Cleanup(func() {
		_ = s.Close()
		l.sweep()
	})
	if err := e.up(); err != nil {
		l.t.Fatal(err)
	}
	return e, socket
}

func (e *engine) publishes(outer, inner uint16) {
	e.ports = append(e.ports, map[string]any{"IP": "0.0.0.0", "PrivatePort": inner, "PublicPort": outer, "Type": "tcp"})
}

// up starts the server and waits for its word that it listens.
func (e *engine) up() error {
	e.server = e.lab.ns.Command("/usr/bin/env", append([]string{helperEnv + "=serve"}, e.argv...)...)
	out, err := e.server.StdoutPipe()
	if err == nil {
		err = e.server.Start()
	}
	if err != nil {
		return err
	}
	buf := make([]byte, 64)
	n, _ := out.Read(buf)
	if !strings.HasPrefix(string(buf[:n]), "listens") {
		return fmt.Errorf("%v said %q", e.argv, buf[:n])
	}
	return nil
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuses != "" && strings.HasSuffix(r.URL.Path, e.refuses) {
		http.Error(w, `{"message":"cannot"}`, http.StatusInternalServerError)
		return
	}
	verb, isBox := strings.CutPrefix(r.URL.Path, "/containers/"+boxID+"/")
	switch {
	case r.URL.Path == "/containers/json":
		list := []any{}
		if !e.removed {
			list = append(list, map[string]any{"Id": boxID, "Names": []string{"/web/alias", "/web"}, "Image": "nginx:1", "Labels": e.labels, "Ports": e.ports})
		}
		_ = json.NewEncoder(w).Encode(list)
	case !isBox || e.removed:
		http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
	case verb == "json":
		_ = json.NewEncoder(w).Encode(map[string]any{"HostConfig": map[string]any{"AutoRemove": e.rm, "RestartPolicy": e.policy}})
	default:
		e.post(w, r, verb)
	}
}

func (e *engine) post(w http.ResponseWriter, r *http.Request, verb string) {
	var body struct{ RestartPolicy map[string]any }
	_ = json.NewDecoder(r.Body).Decode(&body)
	e.asked = append(e.asked, strings.TrimSpace(fmt.Sprintln(r.Method, verb, body.RestartPolicy["Name"], body.RestartPolicy["MaximumRetryCount"])))
	code := http.StatusNoContent
	switch verb {
	case "update":
		e.policy = body.RestartPolicy
		_, _ = w.Write([]byte(`{"Warnings":null}`))
		return
	case "stop":
		if e.server == nil {
			code = http.StatusNotModified
			break
		}
		_ = e.server.Process.Kill()
		_ = e.server.Wait()
		e.server, e.removed = nil, e.rm
	case "start":
		if e.server != nil {
			code = http.StatusNotModified
			break
		}
		if err := e.up(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.WriteHeader(code)
}

// posted takes what was posted since it was last asked.
func (e *engine) posted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.asked
	e.asked = nil
	return out
}

func (e *engine) restart() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.policy["Name"], e.policy["MaximumRetryCount"])
}

// publish makes a container with a network of its own, and sends a port of
// the host to it as dockerd does.
func (l *lab) publish(outer int) {
	l.t.Helper()
	box := nettest.New(l.t)
	l.ns.Run("ip", "link", "add", "bridge", "type", "veth", "peer", "name", "eth0", "netns", box.Name)
	for _, e := range []struct {
		ns         *nettest.NS
		name, addr string
	}{{l.ns, "bridge", "172.30.0.1/24"}, {box, "eth0", "172.30.0.2/24"}} {
		e.ns.Run("ip", "addr", "add", e.addr, "dev", e.name)
		e.ns.Run("ip", "link", "set", e.name, "up")
	}
	box.Run("ip", "route", "add", "default", "via", "172.30.0.1")
	ln := box.Listen("tcp", "172.30.0.2:80")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	l.ns.Run("sysctl", "-qw", "net.ipv4.ip_forward=1")
	l.ns.Script(fmt.Sprintf("nft 'add table ip nat; add chain ip nat DOCKER; add chain ip nat PREROUTING { type nat hook prerouting priority -100; }; add rule ip nat PREROUTING fib daddr type local jump DOCKER; add rule ip nat DOCKER tcp dport %d dnat to 172.30.0.2:80'", outer))
}

// A published port is walled off, before its packets are sent to the
// container; what has to be recreated is said as Compose wants it.
func TestPublishedPort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.publish(8080)
	e, socket := newEngine(l, "docker-proxy", "0.0.0.0:8080")
	e.publishes(8080, 80)
	e.labels = map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.project.working_dir": "/srv/my shop",
		"com.docker.compose.project.config_files": "/srv/my shop/compose.yaml,/srv/more.yaml", "com.docker.compose.service": "web"}
	before := l.ns.Run("nft", "list", "ruleset")
	if !l.reaches(hostAddr + ":8080") {
		t.Fatal("the neighbour does not reach it before")
	}
	a := l.must(order{What: "close", Ports: tcp(8080), Docker: socket})
	if l.reaches(hostAddr + ":8080") {
		t.Error("the neighbour still reaches it")
	}
	c := a.Plan.Closures[0]
	if c.How != Firewall || c.Owner != "container web (nginx:1)" || len(c.Published) != 1 {
		t.Errorf("%+v", c)
	}
	want := exposure.Fix{What: `for good: in /srv/my shop/compose.yaml, /srv/more.yaml, service web, write the port as "127.0.0.1:8080:80" (this host alone) or take it out, then recreate it`,
		Command: "docker compose -p shop --project-directory '/srv/my shop' -f '/srv/my shop/compose.yaml' -f /srv/more.yaml up -d web"}
	if !slices.Equal(a.Plan.Manual, []exposure.Fix{want}) {
		t.Errorf("%q", a.Plan.Manual)
	}
	l.ns.Do(func() {
		c, err := net.Dial("tcp", "127.0.0.1:8080")
		if err != nil {
			t.Errorf("loopback: %v", err)
			return
		}
		_ = c.Close()
	})
	l.must(order{What: "undo", Docker: socket})
	if got := l.ns.Run("nft", "list", "ruleset"); got != before || !l.reaches(hostAddr+":8080") {
		t.Errorf("not as before:\n%s", got)
	}
	if got := e.posted(); len(got) > 0 {
		t.Errorf("the engine was told %q", got)
	}
}

// Without a proxy there is no listener, only the rule.
func TestPublishedWithoutProxy(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.publish(8081)
	e, socket := newEngine(l, "elsewhere", "127.0.0.1:1")
	e.publishes(8081, 80)
	if a := l.do(order{What: "close", Ports: tcp(8081), How: Stop, Docker: socket}); a.Reason != remedy.Invalid || !strings.Contains(a.Err, "only --how firewall closes") {
		t.Errorf("%+v", a)
	}
	a := l.must(order{What: "close", Ports: tcp(8081), Docker: socket})
	if l.reaches(hostAddr + ":8081") {
		t.Error("the neighbour still reaches it")
	}
	c := a.Plan.Closures[0]
	if c.How != Firewall || c.Owner != "container web (nginx:1)" || len(a.Plan.Manual) != 1 || !strings.Contains(a.Plan.Manual[0].What, "recreate container web (image nginx:1) with -p 127.0.0.1:8081:80") {
		t.Errorf("%+v %q", c, a.Plan.Manual)
	}
	l.must(order{What: "undo", Docker: filepath.Join(t.TempDir(), "none")})
	if !l.reaches(hostAddr + ":8081") {
		t.Error("not open again")
	}
	a = l.must(order{What: "plan", Ports: tcp(8081), Docker: filepath.Join(t.TempDir(), "none")})
	if c := a.Plan.Closures[0]; !strings.Contains(c.Owner, "172.30.0.2:80") {
		t.Errorf("without an engine: %+v", c)
	}
}

type boxVictim struct {
	*victim
	e *engine
}

// containerVictim is a container with two published ports that its engine
// starts again when it fails.
func containerVictim(t *testing.T) *boxVictim {
	l := newLab(t)
	e, socket := newEngine(l, "docker-proxy", "0.0.0.0:8080", "0.0.0.0:8443")
	e.publishes(8080, 80)
	e.publishes(8443, 443)
	e.policy = map[string]any{"Name": "on-failure", "MaximumRetryCount": 3}
	return &boxVictim{&victim{l, order{What: "close", Ports: tcp(8080), How: Stop, Docker: socket}, func() string {
		return l.settled("tcp/*:8080 tcp/*:8443") + e.restart()
	}}, e}
}

// A container that is stopped is kept from coming back, and gets its policy
// back with it.
func TestContainerStopped(t *testing.T) {
	t.Parallel()
	v := containerVictim(t)
	before := v.dump()
	a := v.must(v.close)
	if got := v.listening() + v.e.restart(); got != "no0" {
		t.Errorf("after closing: %s", got)
	}
	if want := []string{"tcp/[::]:8443"}; !slices.Equal(a.Plan.Also, want) {
		t.Errorf("also %v", a.Plan.Also)
	}
	s := a.Plan.Steps[0]
	if want := []string{"docker update --restart=no web", "docker stop web"}; !slices.Equal(s.Commands, want) {
		t.Errorf("%q", s.Commands)
	}
	if want := []string{"docker start web", "docker update --restart=on-failure:3 web"}; !slices.Equal(s.Undo, want) {
		t.Errorf("%q", s.Undo)
	}
	v.must(v.undo(0))
	v.same("undone", before)
	if want := []string{"POST update no 0", "POST stop <nil> <nil>", "POST start <nil> <nil>", "POST update on-failure 3"}; !slices.Equal(v.e.posted(), want) {
		t.Errorf("the engine was told otherwise than %q", want)
	}
}

// An engine that does not stop it: what was told before is taken back.
func TestEngineRefuses(t *testing.T) {
	t.Parallel()
	v := containerVictim(t)
	before := v.dump()
	v.e.refuses = "/stop"
	if a := v.do(v.close); a.Reason != remedy.Failed || !strings.Contains(a.Err, "cannot") || !strings.Contains(a.Err, "everything was taken back") {
		t.Errorf("%+v", a)
	}
	v.same("taken back", before)
}

// A container of --rm is gone once it is stopped: the plan says so, and so
// does the undo, once.
func TestContainerRemoved(t *testing.T) {
	t.Parallel()
	v := containerVictim(t)
	v.e.rm = true
	a := v.must(v.close)
	if !slices.ContainsFunc(a.Plan.Notes, func(s string) bool { return strings.Contains(s, "--rm") }) {
		t.Errorf("%q", a.Plan.Notes)
	}
	if a := v.do(v.undo(0)); a.Reason != remedy.NotRestored || !strings.Contains(a.Hint, "container web is gone and cannot be started again: it was started with --rm") {
		t.Errorf("%+v", a)
	}
	if a := v.do(v.undo(0)); a.Reason != remedy.Nothing {
		t.Errorf("%+v", a)
	}
}

// A container on the host's own network is stopped by its engine, not as a
// process.
func TestHostNetwork(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	e, socket := newEngine(l, "boxed", "0.0.0.0:8090")
	before := l.listening()
	a := l.must(order{What: "close", Ports: tcp(8090), Docker: socket, Boxed: boxID, Runtime: "docker"})
	if c := a.Plan.Closures[0]; c.How != Stop || c.Owner != "container web (nginx:1)" {
		t.Errorf("%+v", c)
	}
	l.await("")
	l.must(order{What: "undo", Docker: socket})
	l.await(before)
	if want := []string{"POST stop <nil> <nil>", "POST start <nil> <nil>"}; !slices.Equal(e.posted(), want) {
		t.Errorf("the engine was told otherwise than %q", want)
	}
	// What an orchestrator keeps up is not stopped under its hands.
	a = l.must(order{What: "plan", Ports: tcp(8090), Docker: socket, Boxed: boxID, Runtime: "containerd"})
	if c := a.Plan.Closures[0]; c.How != Firewall || len(a.Plan.Manual) != 1 || !strings.Contains(a.Plan.Manual[0].What, "orchestrator") {
		t.Errorf("%+v %q", c, a.Plan.Manual)
	}
}

// Podman has no engine to ask: its program is run.
func TestPodman(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%[1]s/said\ncase $1 in\nstop) kill $(cat %[1]s/pid);;\nstart) %[2]s=serve setsid %[1]s/boxed 0.0.0.0:8091 >/dev/null 2>&1 & echo $! >%[1]s/pid;;\nesac\n", dir, helperEnv)
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self(), filepath.Join(dir, "boxed")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.sweep)
	l.env = append(l.env, "PATH="+dir+":"+os.Getenv("PATH"))
	l.ns.Run(filepath.Join(dir, "podman"), "start", "first")
	l.await("tcp/*:8091")
	a := l.must(order{What: "close", Ports: tcp(8091), Boxed: boxID, Runtime: "podman"})
	if s := a.Plan.Steps[0]; s.Commands[0] != "podman stop box" || s.Undo[0] != "podman start box" {
		t.Errorf("%+v", s)
	}
	l.await("")
	l.must(order{What: "undo", Boxed: boxID, Runtime: "podman"})
	l.await("tcp/*:8091")
	said, _ := os.ReadFile(filepath.Join(dir, "said"))
	if want := "start first\nstop " + boxID + "\nstart " + boxID + "\n"; string(said) != want {
		t.Errorf("said %q", said)
	}
}
