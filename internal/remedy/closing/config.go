package closing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
	"github.com/portreeve/portreeve/internal/remedy/serverconf"
)

// configStep changes configuration and makes the server read it.
type configStep struct {
	Edits []serverconf.Edit `json:"edits"`
	// Commands make the server read it, in this order; then Signal goes to
	// Servers, or, with Restart, they are ended and started again.
	Commands [][]string `json:"commands"`
	Signal   string     `json:"signal"`
	Servers  []record   `json:"servers"`
	Restart  bool       `json:"restart"`
}

// ours are the addresses of "this host alone".
func ours() []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
}

// configSteps makes one step for each server.
func (p *Plan) configSteps(ctx context.Context, w *work) error {
	for _, group := range byHolder(w.rebind) {
		edit := func(root serverconf.Root, s *exposure.Socket) ([]serverconf.Edit, error) {
			return serverconf.Rebind(root, s, ours())
		}
		if err := p.configStep(ctx, w, group, edit, Rebind); err != nil {
			return err
		}
		for _, s := range group {
			p.goes(s)
			p.keepLoopback(s)
		}
	}
	for _, group := range byHolder(w.inetd) {
		if err := p.configStep(ctx, w, group, serverconf.RemoveInetd, Stop); err != nil {
			return err
		}
		for _, s := range group {
			p.goes(s)
		}
	}
	return nil
}

// byHolder groups sockets by their first process, in order.
func byHolder(list []*exposure.Socket) (out [][]*exposure.Socket) {
	at := map[int]int{}
	for _, s := range list {
		pid := 0
		if len(s.Processes) > 0 {
			pid = s.Processes[0].PID
		}
		i, known := at[pid]
		if !known {
			i = len(out)
			at[pid] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], s)
	}
	return out
}

// keepLoopback: bound to loopback, it goes on answering there.
func (p *Plan) keepLoopback(s *exposure.Socket) {
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if a := s.Addr.IP; a.IsValid() && a.Is6() && !a.Is4In6() && !s.DualStack {
		ip = netip.IPv6Loopback()
	}
	p.kept = append(p.kept, exposure.Endpoint{Proto: s.Proto, Addr: exposure.IPAddress(ip), Port: s.Port})
}

// configStep plans the edits of one server's sockets, each seeing the ones
// before it.
func (p *Plan) configStep(ctx context.Context, w *work, group []*exposure.Socket, edit func(serverconf.Root, *exposure.Socket) ([]serverconf.Edit, error), how How) error {
	s := &configStep{}
	var already error
	for _, x := range group {
		edits, err := edit(serverconf.Overlay(p.o.Files, s.Edits), x)
		switch {
		case errors.Is(err, serverconf.ErrAlready):
			already = err
		case err != nil:
			return p.noEdit(x, how, err)
		}
		for _, e := range edits {
			s.add(e)
		}
	}
	if len(s.Edits) == 0 {
		return hinted(fail(remedy.Invalid, fmt.Sprintf("there is nothing to change for %s: %v", group[0].Endpoint(), already), nil),
			"the server has not read its configuration since: restart it")
	}
	if err := p.reading(ctx, s, group[0]); err != nil {
		return err
	}
	p.Steps = append(p.Steps, s.step())
	for _, e := range s.Edits {
		if e.Note != "" {
			p.note(e.Note)
		}
	}
	return nil
}

// add joins a second edit of a file with the first.
func (s *configStep) add(e serverconf.Edit) {
	for i := range s.Edits {
		if s.Edits[i].Path == e.Path {
			before := s.Edits[i].Before
			s.Edits[i] = e
			s.Edits[i].Before = before
			return
		}
	}
	s.Edits = append(s.Edits, e)
}

func (p *Plan) noEdit(s *exposure.Socket, how How, err error) error {
	hint := "close it by --how stop, or keep others out with --how firewall"
	if how == Stop {
		hint = "keep others out with --how firewall"
	}
	return hinted(fail(remedy.Invalid, fmt.Sprintf("the configuration behind %s (%s) cannot be changed by this program", s.Endpoint(), ownerText(s)), err), hint)
}

// reading decides how the server is made to read it.
func (p *Plan) reading(ctx context.Context, s *configStep, x *exposure.Socket) error {
	restart := slices.ContainsFunc(s.Edits, func(e serverconf.Edit) bool { return e.RestartNeeded })
	if slices.ContainsFunc(s.Edits, func(e serverconf.Edit) bool { return strings.Contains(e.Path, "/systemd/") }) {
		s.Commands = append(s.Commands, []string{"systemctl", "daemon-reload"})
	}
	if restart {
		if c := p.restart(ctx, x); c != nil {
			s.Commands = append(s.Commands, c)
			return nil
		}
	}
	for _, e := range s.Edits {
		if len(e.Reload) > 0 && !slices.ContainsFunc(s.Commands, func(c []string) bool { return slices.Equal(c, e.Reload) }) {
			s.Commands = append(s.Commands, e.Reload)
		}
		if len(e.Reload) == 0 && e.Signal != "" {
			s.Signal = e.Signal
		}
	}
	if s.Signal == "" && (!restart || len(s.Commands) > 0) {
		return nil
	}
	s.Restart = restart
	return p.servers(s, x)
}

// restart is how a manager restarts the server; nil without one.
func (p *Plan) restart(ctx context.Context, x *exposure.Socket) []string {
	manager, unit := managerOf(x)
	if unit != "" && !strings.HasSuffix(unit, ".scope") && !strings.Contains(unit, "@.") {
		if st, err := unitNow(ctx, p.o.Machine, manager, unit); err == nil && st != nil && st.running() {
			return append(slices.Clone(manager), "restart", "--", st.Name)
		}
	}
	switch script := p.script(ctx, x); {
	case script == nil:
		return nil
	case script.OpenRC:
		return []string{"rc-service", script.Name, "restart"}
	default:
		return []string{script.Path, "restart"}
	}
}

// servers records the processes that get the signal, or are started again.
func (p *Plan) servers(s *configStep, x *exposure.Socket) error {
	var pids []int
	for _, e := range s.Edits {
		pids = append(pids, e.PIDs...)
	}
	holders := map[int]bool{}
	for _, q := range x.Processes {
		holders[q.PID] = true
	}
	if len(pids) == 0 || s.Restart {
		pids = sortedKeys(holders)
	}
	slices.Sort(pids)
	since, _ := started(filepath.Join(p.o.Proc, "self"))
	for _, pid := range slices.Compact(pids) {
		if holders[parentOf(p.o.Proc, pid)] {
			continue // a worker: its master is told
		}
		r, err := recordOf(p.o.Proc, pid)
		if err != nil {
			return fail(remedy.NoPrivilege, fmt.Sprintf("process %d cannot be looked at", pid), err)
		}
		if s.Restart && len(r.Argv) == 0 {
			return hinted(fail(remedy.Invalid, fmt.Sprintf("%s has to be started again to read its configuration, and nothing tells how: no unit or script manages it, and it has overwritten its command line with %q", r.name(), r.Title), nil),
				"close it by --how stop, or keep others out with --how firewall")
		}
		r.Since = since
		s.Servers = append(s.Servers, *r)
	}
	return nil
}

func (s *configStep) step() Step {
	out := Step{Kind: "config", Config: s}
	var paths []string
	for _, e := range s.Edits {
		paths = append(paths, e.Path)
		out.Diffs = append(out.Diffs, diff(e.Path, e.Before, e.After))
		out.Undo = append(out.Undo, "# put back "+e.Path+" from the journal")
		if len(e.Check) > 0 {
			out.Commands = append(out.Commands, command(e.Check...))
		}
		out.What = orElse(e.Why, "change "+strings.Join(paths, ", "))
	}
	out.Commands = slices.Compact(out.Commands)
	told := []string{}
	for _, c := range s.Commands {
		told = append(told, command(c...))
	}
	for _, r := range s.Servers {
		if s.Restart {
			told = append(told, "kill "+strconv.Itoa(r.PID), "cd "+quote(r.Cwd)+" && "+command(r.Argv...))
		} else {
			told = append(told, "kill -"+s.Signal+" "+strconv.Itoa(r.PID))
		}
	}
	out.Commands, out.Undo = append(out.Commands, told...), append(out.Undo, told...)
	return out
}

func (s *configStep) do(ctx context.Context, r *run) error {
	for _, e := range s.Edits {
		if err := s.candidate(ctx, r, e); err != nil {
			return err
		}
	}
	for _, e := range s.Edits {
		now, err := contents(r, e.Path)
		if err != nil {
			return err
		}
		if string(now) != string(e.Before) {
			return fail(remedy.Changed, e.Path+" was changed by somebody else a moment ago", nil)
		}
		r.Step("write " + e.Path)
		if err := put(e.Path, e.After, e.Mode); err != nil {
			return fail(remedy.Failed, e.Path+" could not be written", err)
		}
	}
	if err := s.check(ctx, r); err != nil {
		return err
	}
	return s.tell(ctx, r)
}

// candidate lets the server check a file before it is in place.
func (s *configStep) candidate(ctx context.Context, r *run, e serverconf.Edit) error {
	if !slices.Contains(e.Check, "{}") {
		return nil
	}
	r.Step("check " + e.Path)
	at := filepath.Join(filepath.Dir(e.Path), ".portreeve-candidate")
	if err := put(at, e.After, e.Mode); err != nil {
		return fail(remedy.Failed, "a candidate for "+e.Path+" could not be written", err)
	}
	defer func() { _ = os.Remove(at) }()
	argv := slices.Clone(e.Check)
	for i := range argv {
		if argv[i] == "{}" {
			argv[i] = at
		}
	}
	return refused(r.Run(ctx, nil, argv[0], argv[1:]...))(e)
}

func refused(_ []byte, err error) func(serverconf.Edit) error {
	return func(e serverconf.Edit) error {
		if err == nil {
			return nil
		}
		return hinted(fail(remedy.Unverified, e.Server+"'s own check refuses the changed "+e.Path, err), "the file is as it was; see the diff of the plan")
	}
}

// check lets the server check what is in place.
func (s *configStep) check(ctx context.Context, r *run) error {
	var done [][]string
	for _, e := range s.Edits {
		if len(e.Check) == 0 || slices.Contains(e.Check, "{}") || slices.ContainsFunc(done, func(c []string) bool { return slices.Equal(c, e.Check) }) {
			continue
		}
		done = append(done, e.Check)
		r.Step("check " + e.Path)
		if err := refused(r.Run(ctx, nil, e.Check[0], e.Check[1:]...))(e); err != nil {
			return err
		}
	}
	return nil
}

// tell makes the server read what is in place.
func (s *configStep) tell(ctx context.Context, r *run) error {
	for _, c := range s.Commands {
		r.Step(command(c...))
		if _, err := r.Run(ctx, nil, c[0], c[1:]...); err != nil {
			return fail(remedy.Failed, command(c...)+" failed", err)
		}
	}
	for i := range s.Servers {
		x := &s.Servers[i]
		r.Step("tell " + strconv.Itoa(x.PID))
		if s.Restart {
			if err := x.restart(ctx, r); err != nil {
				return err
			}
			continue
		}
		if err := x.now(r.Proc).signal(r.Proc, signalNamed(s.Signal)); err != nil {
			return fail(remedy.Failed, fmt.Sprintf("process %d could not be told to read its configuration", x.PID), err)
		}
	}
	return nil
}

// now is this process, or the one that runs in its place since.
func (x *record) now(proc string) ref {
	if x.alive(proc) {
		return x.ref
	}
	if pid := x.like(proc, nil); pid != 0 {
		start, _ := started(filepath.Join(proc, strconv.Itoa(pid)))
		return ref{PID: pid, Start: start}
	}
	return x.ref
}

func (x *record) restart(ctx context.Context, r *run) error {
	old := x.now(r.Proc)
	if err := old.signal(r.Proc, signalNamed("TERM")); err != nil {
		return fail(remedy.NoPrivilege, fmt.Sprintf("process %d could not be told to end", old.PID), err)
	}
	if !wait(ctx, r.Machine, func() bool { return !old.alive(r.Proc) }) {
		return fail(remedy.Failed, fmt.Sprintf("process %d was told to end and still runs", old.PID), nil)
	}
	if err := start(x); err != nil {
		return fail(remedy.Failed, x.name()+" could not be started again", err)
	}
	return nil
}

// undo puts the files back and makes the server read them.
func (s *configStep) undo(ctx context.Context, r *run) error {
	for _, e := range slices.Backward(s.Edits) {
		now, err := contents(r, e.Path)
		if err != nil {
			return err
		}
		if string(now) == string(e.Before) && (now == nil) == (e.Before == nil) {
			continue
		}
		if string(now) != string(e.After) {
			if r.keep {
				r.note(leftAlone(e.Path))
				continue
			}
			return fail(remedy.Changed, e.Path+" was changed by somebody since", nil)
		}
		r.Step("put back " + e.Path)
		if err := putBack(e); err != nil {
			return fail(remedy.NotRestored, e.Path+" could not be put back", err)
		}
	}
	return s.tell(ctx, r)
}

func putBack(e serverconf.Edit) error {
	if e.Before != nil {
		return put(e.Path, e.Before, e.Mode)
	}
	if err := os.Remove(e.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return remedy.SyncDir(filepath.Dir(e.Path))
}

func (s *configStep) changed(_ context.Context, r *run) (out []Diff, err error) {
	for _, e := range s.Edits {
		now, err := contents(r, e.Path)
		if err != nil {
			return nil, err
		}
		if string(now) != string(e.After) && string(now) != string(e.Before) {
			out = append(out, diff(e.Path, e.After, now))
		}
	}
	return out, nil
}
