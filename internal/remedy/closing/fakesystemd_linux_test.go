package closing

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// fakeSystemd stands for systemd: unit files in etc/ and lib/ of its folder,
// links in etc/*.wants, processes in run/. It does what systemctl(1) and
// systemd.unit(5) say of the few words that closing uses.
type fakeSystemd struct {
	dir  string
	seen map[string]bool // units of this transaction
}

func fakeSystemctl(dir string, args []string) int {
	f := &fakeSystemd{dir: dir, seen: map[string]bool{}}
	var words []string
	runtime := false
	props := ""
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-p":
			i++
			props = args[i]
		case args[i] == "--runtime":
			runtime = true
		case strings.HasPrefix(args[i], "-"):
		default:
			words = append(words, args[i])
		}
	}
	code := 0
	for _, u := range words[1:] {
		code = max(code, f.act(words[0], u, props, runtime))
	}
	return code
}

func (f *fakeSystemd) act(verb, unit, props string, runtime bool) int {
	file, text := f.load(unit)
	if verb != "show" && verb != "is-active" && verb != "unmask" && file == "" {
		fmt.Printf("Unit %s could not be found.\n", unit)
		return 4 + 1
	}
	switch verb {
	case "show":
		f.show(unit, file, props)
	case "is-active":
		fmt.Println(f.active(unit))
	case "is-enabled":
		fmt.Println(f.enabled(unit))
	case "start":
		return f.start(unit, text)
	case "stop":
		f.stop(unit)
	case "restart":
		f.stop(unit)
		return f.start(unit, text)
	case "enable", "disable":
		return f.enable(verb, unit, text, runtime)
	case "mask":
		at := filepath.Join(f.dir, "etc", unit)
		if _, err := os.Lstat(at); err == nil {
			fmt.Printf("Failed to mask unit: File %s already exists.\n", at)
			return 1
		}
		_ = os.Symlink("/dev/null", at)
	case "unmask":
		at := filepath.Join(f.dir, "etc", unit)
		if to, _ := os.Readlink(at); to == "/dev/null" {
			_ = os.Remove(at)
		}
	}
	return 0
}

// load finds a unit's file and text; a masked one has none.
func (f *fakeSystemd) load(unit string) (file, text string) {
	for _, d := range []string{"etc", "lib"} {
		at := filepath.Join(f.dir, d, unit)
		if to, _ := os.Readlink(at); to == "/dev/null" {
			return at, ""
		}
		if b, err := os.ReadFile(at); err == nil {
			return at, string(b)
		}
	}
	return "", ""
}

func setting(text, key string) (out []string) {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			out = append(out, strings.Fields(v)...)
		}
	}
	return out
}

func (f *fakeSystemd) units() []string {
	names := map[string]bool{}
	for _, d := range []string{"etc", "lib"} {
		list, _ := os.ReadDir(filepath.Join(f.dir, d))
		for _, x := range list {
			if !x.IsDir() {
				names[x.Name()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// reverse lists the units that name this one by a setting, or by a link.
func (f *fakeSystemd) reverse(unit, key, folder string) (out []string) {
	for _, u := range f.units() {
		_, text := f.load(u)
		if slices.Contains(setting(text, key), unit) {
			out = append(out, u)
		}
	}
	links, _ := filepath.Glob(filepath.Join(f.dir, "etc*", "*."+folder, unit))
	for _, l := range links {
		out = append(out, strings.TrimSuffix(filepath.Base(filepath.Dir(l)), "."+folder))
	}
	return out
}

func (f *fakeSystemd) service(socket, text string) string {
	if s := setting(text, "Service"); len(s) > 0 {
		return s[0]
	}
	return strings.TrimSuffix(socket, ".socket") + ".service"
}

func (f *fakeSystemd) show(unit, file, props string) {
	_, text := f.load(unit)
	all := map[string]string{"Id": unit, "ActiveState": f.active(unit), "UnitFileState": f.enabled(unit), "FragmentPath": file, "LoadState": "loaded", "Transient": "no"}
	switch {
	case file == "":
		all["LoadState"], all["UnitFileState"] = "not-found", ""
	case f.enabled(unit) == "masked":
		all["LoadState"] = "masked"
	}
	join := func(key string, list []string) { all[key] = strings.Join(list, " ") }
	join("WantedBy", f.reverse(unit, "Wants", "wants"))
	join("RequiredBy", f.reverse(unit, "Requires", "requires"))
	join("BoundBy", f.reverse(unit, "BindsTo", "none"))
	join("ConsistsOf", f.reverse(unit, "PartOf", "none"))
	var by []string
	for _, u := range f.units() {
		if _, t := f.load(u); strings.HasSuffix(u, ".socket") && f.service(u, t) == unit {
			by = append(by, u)
		}
	}
	join("TriggeredBy", by)
	if strings.HasSuffix(unit, ".socket") {
		all["Triggers"] = f.service(unit, text)
	}
	for key := range strings.SplitSeq(props, ",") {
		fmt.Printf("%s=%s\n", key, all[key])
	}
}

func (f *fakeSystemd) pidfile(unit string) string { return filepath.Join(f.dir, "run", unit) }

func (f *fakeSystemd) active(unit string) string {
	b, err := os.ReadFile(f.pidfile(unit))
	if err != nil {
		return "inactive"
	}
	pid, _ := strconv.Atoi(string(b))
	if pid != 0 && !runs(pid) {
		return "failed"
	}
	return "active"
}

// runs reports a process that is no zombie.
func runs(pid int) bool {
	stat, err := statFields("/proc/" + strconv.Itoa(pid))
	return err == nil && stat[0] != "Z"
}

func (f *fakeSystemd) enabled(unit string) string {
	file, text := f.load(unit)
	if file != "" && text == "" {
		return "masked"
	}
	for dir, word := range map[string]string{"etc": "enabled", "etc-runtime": "enabled-runtime"} {
		for _, folder := range []string{"wants", "requires"} {
			if l, _ := filepath.Glob(filepath.Join(f.dir, dir, "*."+folder, unit)); len(l) > 0 {
				return word
			}
		}
	}
	if !strings.Contains(text, "[Install]") {
		return "static"
	}
	return "disabled"
}

func (f *fakeSystemd) start(unit, text string) int {
	if text == "" {
		fmt.Printf("Failed to start %s: Unit %s is masked.\n", unit, unit)
		return 1
	}
	if f.active(unit) == "active" || f.seen[unit] {
		return 0
	}
	f.seen[unit] = true
	for _, u := range slices.Concat(setting(text, "Requires"), setting(text, "Wants"), setting(text, "BindsTo")) {
		_, t := f.load(u)
		f.start(u, t)
	}
	if strings.HasSuffix(unit, ".socket") && f.active(f.service(unit, text)) == "active" {
		fmt.Printf("%s: Socket service %s already active, refusing.\n", unit, f.service(unit, text))
		return 1
	}
	argv := setting(text, "ExecStart")
	if s := setting(text, "ListenStream"); len(s) > 0 {
		argv = []string{"systemd-stand-in", s[0]}
	}
	if len(argv) == 0 {
		return f.mark(unit, 0)
	}
	cmd := exec.Command(self(), argv[1:]...)
	cmd.Env = append(os.Environ(), helperEnv+"=serve")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	return f.mark(unit, cmd.Process.Pid)
}

func (f *fakeSystemd) mark(unit string, pid int) int {
	if err := os.WriteFile(f.pidfile(unit), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// stop stops what needs the unit first (systemd.unit(5), Requires=, BindsTo=,
// PartOf=).
func (f *fakeSystemd) stop(unit string) {
	if f.active(unit) != "active" {
		_ = os.Remove(f.pidfile(unit))
		return
	}
	b, _ := os.ReadFile(f.pidfile(unit))
	_ = os.Remove(f.pidfile(unit))
	for _, u := range slices.Concat(f.reverse(unit, "Requires", "requires"), f.reverse(unit, "BindsTo", "none"), f.reverse(unit, "PartOf", "none")) {
		f.stop(u)
	}
	pid, _ := strconv.Atoi(string(b))
	if pid == 0 {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	for range 200 {
		if !runs(pid) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (f *fakeSystemd) enable(verb, unit, text string, runtime bool) int {
	if text == "" && verb == "enable" {
		fmt.Printf("Failed to enable unit: Unit file %s is masked.\n", unit)
		return 1
	}
	dirs := []string{"etc", "etc-runtime"}
	if verb == "enable" {
		dirs = dirs[:1]
		if runtime {
			dirs = []string{"etc-runtime"}
		}
	}
	for _, u := range append([]string{unit}, setting(text, "Also")...) {
		_, t := f.load(u)
		for _, d := range dirs {
			for key, folder := range map[string]string{"WantedBy": "wants", "RequiredBy": "requires"} {
				for _, target := range setting(t, key) {
					at := filepath.Join(f.dir, d, target+"."+folder, u)
					_ = os.Remove(at)
					if verb == "enable" {
						_ = os.MkdirAll(filepath.Dir(at), 0o755)
						_ = os.Symlink("/lib/"+u, at)
					}
				}
			}
		}
	}
	return 0
}

// fakeLook is the machine's own look, with units by the fake's processes.
func fakeLook(dir string) func(context.Context) (exposure.Snapshot, error) {
	f := &fakeSystemd{dir: dir}
	return func(ctx context.Context) (exposure.Snapshot, error) {
		snap, err := look(ctx)
		by := map[int]string{}
		for _, u := range f.units() {
			if b, err := os.ReadFile(f.pidfile(u)); err == nil {
				pid, _ := strconv.Atoi(string(b))
				by[pid] = u
			}
		}
		for i := range snap.Sockets {
			s := &snap.Sockets[i]
			for _, p := range s.Processes {
				if u := by[p.PID]; strings.HasSuffix(u, ".socket") {
					_, text := f.load(u)
					s.ActivatedBy, s.Unit = u, f.service(u, text)
				} else if u != "" {
					s.Unit = u
				}
			}
		}
		return snap, err
	}
}

// systemd gives a lab a fake systemd with these unit files: "etc/x.service" or
// "lib/x.service".
func (l *lab) systemd(files map[string]string) *fakeSystemd {
	l.t.Helper()
	f := &fakeSystemd{dir: l.t.TempDir(), seen: map[string]bool{}}
	bin := l.t.TempDir()
	for _, d := range []string{"etc", "lib", "run", "etc-runtime"} {
		if err := os.MkdirAll(filepath.Join(f.dir, d), 0o755); err != nil {
			l.t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
			l.t.Fatal(err)
		}
	}
	script := "#!/bin/sh\nexport " + helperEnv + "=systemctl FAKE_SYSTEMD=" + f.dir + "\nexec " + self() + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(script), 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.env = append(l.env, "PATH="+bin+":"+os.Getenv("PATH"), "FAKE_SYSTEMD="+f.dir)
	l.t.Cleanup(l.sweep)
	return f
}

func (l *lab) ctl(args ...string) {
	l.t.Helper()
	l.ns.Run("/usr/bin/env", append(append(slices.Clone(l.env), "systemctl"), args...)...)
}

// dump is everything that the fake knows: what undo must bring back.
func (f *fakeSystemd) dump(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, u := range f.units() {
		fmt.Fprintf(&b, "%s %s %s\n", u, f.active(u), f.enabled(u))
	}
	return b.String()
}
