package closing

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/remedy"
)

// xinetdVictim is a real xinetd with two services in two files.
func xinetdVictim(t *testing.T) *victim {
	xinetd := nettest.Need(t, "xinetd")
	l := newLab(t)
	dir := t.TempDir()
	service := func(id string, port int) string {
		return fmt.Sprintf("# by hand\nservice discard\n{\n\ttype = INTERNAL UNLISTED\n\tid = %s\n\tport = %d\n\tsocket_type = stream\n\tprotocol = tcp\n\tuser = root\n\twait = no\n}\n", id, port)
	}
	file := filepath.Join(dir, "d", "one")
	l.write(map[string]string{filepath.Join(dir, "x.conf"): "defaults\n{\n}\nincludedir " + dir + "/d\n", file: service("one", 7301), filepath.Join(dir, "d", "two"): service("two", 7302)})
	cmd := l.ns.Command(xinetd, "-dontfork", "-stayalive", "-f", filepath.Join(dir, "x.conf"), "-pidfile", filepath.Join(dir, "pid"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(l.sweep)
	both := "tcp/*:7301 tcp/*:7302"
	l.await(both)
	return &victim{l, order{What: "close", Ports: tcp(7301)}, func() string {
		return l.settled(both) + l.files(filepath.Join(dir, "d"))
	}}
}

func (l *lab) write(files map[string]string) {
	l.t.Helper()
	for at, text := range files {
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if err == nil {
			err = os.WriteFile(at, []byte(text), 0o640)
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// files is all that a folder holds, byte for byte.
func (l *lab) files(dir string) string {
	l.t.Helper()
	var b strings.Builder
	list, err := os.ReadDir(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range list {
		text, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		info, _ := f.Info()
		fmt.Fprintf(&b, "\n%s %s %q", f.Name(), info.Mode(), text)
	}
	return b.String()
}

// An entry of xinetd goes, its others stay, and it comes back byte for byte.
func TestXinetd(t *testing.T) {
	t.Parallel()
	v := xinetdVictim(t)
	before := v.dump()
	a := v.must(v.close)
	v.await("tcp/*:7302")
	s := a.Plan.Steps[0]
	if c := a.Plan.Closures[0]; c.How != Stop || s.Kind != "config" || len(s.Diffs) != 1 || len(a.Plan.Also) != 0 {
		t.Errorf("%+v %+v also %v", c, s, a.Plan.Also)
	}
	if want := "kill -HUP " + strings.Fields(v.pids(7302))[0]; !slices.Equal(s.Commands, []string{want}) {
		t.Errorf("%q, want %q", s.Commands, want)
	}
	// Somebody edits the file: it is not written over.
	at := s.Diffs[0].Path
	edited, _ := os.ReadFile(at)
	if err := os.WriteFile(at, append(edited, "# more\n"...), 0o640); err != nil {
		t.Fatal(err)
	}
	if a := v.do(v.undo(0)); a.Reason != remedy.Changed || len(a.Diffs) != 1 || !slices.Contains(a.Diffs[0].Lines, "+# more") {
		t.Errorf("%+v", a)
	}
	if err := os.WriteFile(at, edited, 0o640); err != nil {
		t.Fatal(err)
	}
	v.must(v.undo(0))
	v.same("undone", before)
}

// fakeInetd listens as an inetd.conf(5) says, and reads it again on SIGHUP.
func fakeInetd(conf string) {
	open := map[string]net.Listener{}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	for {
		text, _ := os.ReadFile(conf)
		want := map[string]bool{}
		for line := range bytes.Lines(text) {
			if f := bytes.Fields(line); len(f) > 5 && f[0][0] != '#' {
				want["0.0.0.0:"+string(f[0])] = true
			}
		}
		for a, l := range open {
			if !want[a] {
				_ = l.Close()
				delete(open, a)
			}
		}
		for a := range want {
			if l, err := net.Listen("tcp4", a); open[a] == nil && err == nil {
				open[a] = l
			}
		}
		fmt.Println("listens")
		<-hup
	}
}

// An entry of inetd becomes a comment.
func TestInetd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	conf := filepath.Join(t.TempDir(), "inetd.conf")
	text := "# head\n7311\tstream tcp4 nowait root internal x\n7312 stream tcp4 nowait root internal y"
	l.write(map[string]string{conf: text})
	l.start("inetd", conf)
	l.await("tcp/0.0.0.0:7311 tcp/0.0.0.0:7312")
	a := l.must(order{What: "close", Ports: tcp(7311, 7312)})
	l.await("")
	if got, _ := os.ReadFile(conf); string(got) != strings.NewReplacer("\n7", "\n#7").Replace(text) {
		t.Errorf("%q", got)
	}
	if len(a.Plan.Steps) != 1 {
		t.Errorf("%+v", a.Plan.Steps)
	}
	l.must(order{What: "undo"})
	l.await("tcp/0.0.0.0:7311 tcp/0.0.0.0:7312")
	if got, _ := os.ReadFile(conf); string(got) != text {
		t.Errorf("%q", got)
	}
}

// scriptVictim is a daemon of an init script that two runlevels start, below
// a root of its own.
func scriptVictim(t *testing.T) *victim {
	l := newLab(t)
	root := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
PIDFILE=/run/$NAME.pid
pid=%[1]s/run/daemon.pid
case $1 in
start)
	[ -e $pid ] && kill -0 $(cat $pid) 2>/dev/null && exit 0
	%[2]s=serve setsid %[3]s 0.0.0.0:7321 0.0.0.0:7322 >/dev/null 2>&1 &
	echo $! >$pid;;
stop)
	[ -e $pid ] || exit 0
	kill $(cat $pid) 2>/dev/null
	rm -f $pid;;
esac
`, root, helperEnv, self())
	rc := fmt.Sprintf(`#!/bin/sh
cd %s/etc || exit 1
case $2 in
disable) from=S02 to=K01;;
enable) from=K01 to=S02;;
esac
for d in rc2.d rc3.d; do
	[ -e $d/$from$1 ] && mv $d/$from$1 $d/$to$1
done
exit 0
`, root)
	l.write(map[string]string{root + "/etc/init.d/daemon": script, root + "/etc/init.d/other": strings.Replace(script, "daemon.pid", "another.pid", 1), root + "/update-rc.d": rc,
		root + "/etc/rc2.d/S02daemon": "", root + "/etc/rc3.d/S02daemon": "", root + "/run/other.pid": "1\n"})
	for _, f := range []string{"etc/init.d/daemon", "etc/init.d/other", "update-rc.d"} {
		if err := os.Chmod(filepath.Join(root, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(l.sweep)
	l.ns.Run(root+"/etc/init.d/daemon", "start")
	both := "tcp/*:7321 tcp/*:7322"
	l.await(both)
	return &victim{l, order{What: "close", Ports: tcp(7321), Root: root}, func() string {
		return l.settled(both) + l.files(root+"/etc/init.d") + l.files(root+"/etc/rc2.d") + l.files(root+"/etc/rc3.d")
	}}
}

// The init script stops what it started, and does not start it at boot.
func TestInitScript(t *testing.T) {
	t.Parallel()
	v := scriptVictim(t)
	before := v.dump()
	a := v.must(v.close)
	v.await("")
	s := a.Plan.Steps[0]
	if want := []string{"/etc/init.d/daemon stop", "update-rc.d daemon disable"}; s.Kind != "script" || !slices.Equal(s.Commands, want) {
		t.Errorf("%+v", s)
	}
	if want := []string{"update-rc.d daemon enable", "/etc/init.d/daemon start"}; !slices.Equal(s.Undo, want) {
		t.Errorf("%q", s.Undo)
	}
	if want := []string{"tcp/[::]:7322"}; !slices.Equal(a.Plan.Also, want) {
		t.Errorf("also %v", a.Plan.Also)
	}
	if got := s.Script.Links; !slices.Equal(got, []string{"/etc/rc2.d/S02daemon", "/etc/rc3.d/S02daemon"}) {
		t.Errorf("%q", got)
	}
	v.must(v.undo(0))
	v.same("undone", before)
}

// The same below OpenRC: its own programs, and the runlevels it was in.
func TestOpenRC(t *testing.T) {
	t.Parallel()
	v := scriptVictim(t)
	at := filepath.Join(v.close.Root, "etc/init.d/daemon")
	text, _ := os.ReadFile(at)
	v.write(map[string]string{at: strings.Replace(string(text), "#!/bin/sh", "#!/sbin/openrc-run", 1), v.close.Root + "/etc/runlevels/default/daemon": "", v.close.Root + "/etc/runlevels/boot/other": ""})
	a := v.must(v.as("plan"))
	s := a.Plan.Steps[0]
	if want := []string{"rc-service daemon stop", "rc-update del daemon default"}; !slices.Equal(s.Commands, want) {
		t.Errorf("%q", s.Commands)
	}
	if want := []string{"rc-update add daemon default", "rc-service daemon start"}; !slices.Equal(s.Undo, want) {
		t.Errorf("%q", s.Undo)
	}
}

// --now: strangers are out before anything else is done, and a policy that
// expects the port on loopback has it bound there.
func TestNowAndPolicy(t *testing.T) {
	t.Parallel()
	v := rebindVictim(t)
	before := v.dump() + v.ns.Run("nft", "list", "ruleset")
	o := v.close
	o.How, o.Local, o.Now, o.Hang = Best, tcp(7203), true, "begin 1"
	cmd := v.helper(o)
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if n, _ := out.Read(buf); string(buf[:n]) != "hangs\n" {
		t.Fatalf("%q", buf[:n])
	}
	if v.reaches(hostAddr+":7203") || v.listening() != "tcp/0.0.0.0:7203" {
		t.Errorf("after the first step: %s", v.listening())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	v.must(order{What: "recover"})
	if got := v.dump() + v.ns.Run("nft", "list", "ruleset"); got != before || !v.reaches(hostAddr+":7203") {
		t.Errorf("%s\nbefore:\n%s", got, before)
	}
	o.Hang = ""
	a := v.must(o)
	v.await("tcp/127.0.0.1:7203")
	if c := a.Plan.Closures[0]; c.How != Rebind || !strings.Contains(c.Why, "policy") || a.Plan.Steps[0].Kind != "firewall" || a.Plan.Steps[1].Kind != "config" {
		t.Errorf("%+v %+v", c, a.Plan.Steps)
	}
	v.must(order{What: "undo"})
	if got := v.dump() + v.ns.Run("nft", "list", "ruleset"); got != before || !v.reaches(hostAddr+":7203") {
		t.Errorf("%s\nbefore:\n%s", got, before)
	}
}
