package closing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// unitState is a unit as it was before.
type unitState struct {
	Name string `json:"name"`
	// Active and Enabled are the words of `systemctl is-active` and
	// `is-enabled` (systemctl(1)).
	Active  string `json:"active"`
	Enabled string `json:"enabled"`
	// Files are its unit file and drop-ins, with what they held.
	Files []unitFile `json:"files"`

	props map[string]string
}

type unitFile struct {
	Path string `json:"path"`
	Text []byte `json:"text"`
}

func (u *unitState) running() bool {
	return slices.Contains([]string{"active", "activating", "reloading", "refreshing"}, u.Active)
}

func (u *unitState) enabled() bool { return u.Enabled == "enabled" || u.Enabled == "enabled-runtime" }

// list gives a property that is a list of units.
func (u *unitState) list(names ...string) (out []string) {
	for _, n := range names {
		out = append(out, strings.Fields(u.props[n])...)
	}
	return out
}

// unitWork is what one manager is to stop.
type unitWork struct {
	manager []string
	states  map[string]*unitState
	stop    []string // units and what triggers them, triggers first
	also    []string // stopped by systemd with them
}

// managerOf splits "user@1000.service/app.service": the command that speaks
// to the manager, and the unit as that manager names it.
func managerOf(s *exposure.Socket) (manager []string, unit string) {
	outer, inner, found := strings.Cut(s.Unit, "/")
	if !found || !strings.HasPrefix(outer, "user@") {
		return []string{"systemctl"}, s.Unit
	}
	user := strings.TrimSuffix(strings.TrimPrefix(outer, "user@"), ".service")
	if len(s.Processes) > 0 && s.Processes[0].User != "" {
		user = s.Processes[0].User
	}
	return []string{"systemctl", "--user", "-M", user + "@"}, inner
}

// unit takes a socket's units into the work; false when systemd does not
// manage its holder.
func (p *Plan) unit(ctx context.Context, w *work, s *exposure.Socket) (bool, error) {
	manager, unit := managerOf(s)
	var names []string
	for _, n := range []string{s.ActivatedBy, unit} {
		// A scope is a session or a container of somebody, an instance of
		// "Accept=yes" one connection.
		if n != "" && !strings.HasSuffix(n, ".scope") && !strings.Contains(n, "@.") && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) == 0 || unit == "init.scope" && s.ActivatedBy == "" {
		return false, nil
	}
	key := strings.Join(manager, " ")
	u := w.units[key]
	if u == nil {
		u = &unitWork{manager: manager, states: map[string]*unitState{}}
	}
	for _, n := range names {
		st, err := u.state(ctx, p.o.Machine, n)
		if err != nil || st == nil {
			if n == unit && s.ActivatedBy == "" || err != nil {
				return false, err
			}
			continue
		}
		if err := u.take(ctx, p.o.Machine, st); err != nil {
			return false, err
		}
	}
	if len(u.stop) == 0 {
		return false, nil
	}
	w.units[key] = u
	return true, nil
}

const shown = "Id,LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths,TriggeredBy,Triggers,WantedBy,RequiredBy,RequisiteOf,BoundBy,ConsistsOf,UpheldBy,Transient,BusName"

// state asks for a unit; nil when there is no such unit, or no systemd that
// answers.
func (u *unitWork) state(ctx context.Context, m Machine, name string) (*unitState, error) {
	if st := u.states[name]; st != nil {
		return st, nil
	}
	st, err := unitNow(ctx, m, u.manager, name)
	if err != nil || st == nil {
		return nil, err
	}
	if known := u.states[st.Name]; known != nil { // name was an alias
		return known, nil
	}
	u.states[st.Name] = st
	return st, nil
}

func unitNow(ctx context.Context, m Machine, manager []string, name string) (*unitState, error) {
	out, err := m.Run(ctx, nil, manager[0], append(slices.Clone(manager[1:]), "show", "--no-pager", "-p", shown, "--", name)...)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, nil // no systemd here, or not in charge
	}
	st := &unitState{Name: name, props: map[string]string{}}
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		st.props[k] = v
	}
	st.Name = orElse(st.props["Id"], name)
	st.Active = orElse(st.props["ActiveState"], word(ctx, m, manager, "is-active", name))
	st.Enabled = orElse(st.props["UnitFileState"], word(ctx, m, manager, "is-enabled", name))
	if load := st.props["LoadState"]; load == "not-found" || load == "" && !st.running() {
		return nil, nil
	}
	for _, path := range append([]string{st.props["FragmentPath"]}, strings.Fields(st.props["DropInPaths"])...) {
		if path == "" {
			continue
		}
		if text, err := m.Files.ReadFile(path); err == nil {
			st.Files = append(st.Files, unitFile{path, text})
		}
	}
	return st, nil
}

// word asks a question that systemctl answers in one word, whatever its exit
// code.
func word(ctx context.Context, m Machine, manager []string, question, name string) string {
	out, _ := m.Run(ctx, nil, manager[0], append(slices.Clone(manager[1:]), question, "--", name)...)
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

// take adds a unit, what triggers it, and what is stopped with it.
func (u *unitWork) take(ctx context.Context, m Machine, st *unitState) error {
	if slices.Contains(u.stop, st.Name) {
		return nil
	}
	for _, n := range st.list("TriggeredBy") {
		t, err := u.state(ctx, m, n)
		if err != nil {
			return err
		}
		if t != nil && (t.running() || t.enabled()) && !slices.Contains(u.stop, t.Name) {
			u.stop = append(u.stop, t.Name)
		}
	}
	u.stop = append(u.stop, st.Name)
	if strings.HasSuffix(st.Name, ".socket") { // the service it starts would hold the port too
		for _, n := range st.list("Triggers") {
			if t, err := u.state(ctx, m, n); err != nil {
				return err
			} else if t != nil && !strings.Contains(n, "@.") {
				if err := u.take(ctx, m, t); err != nil {
					return err
				}
			}
		}
	}
	slices.SortStableFunc(u.stop, func(a, b string) int { return rank(a) - rank(b) })
	return u.follow(ctx, m, st)
}

// rank puts what starts others first.
func rank(unit string) int {
	if strings.HasSuffix(unit, ".service") {
		return 1
	}
	return 0
}

// follow finds what systemd stops together with a unit: what requires it, is
// bound to it, or is part of it (systemd.unit(5)).
func (u *unitWork) follow(ctx context.Context, m Machine, st *unitState) error {
	for _, n := range st.list("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf") {
		d, err := u.state(ctx, m, n)
		if err != nil {
			return err
		}
		if d == nil || !d.running() || slices.Contains(u.stop, d.Name) || slices.Contains(u.also, d.Name) {
			continue
		}
		u.also = append(u.also, d.Name)
		if err := u.follow(ctx, m, d); err != nil {
			return err
		}
	}
	return nil
}

// unitsStep stops units and keeps them stopped.
type unitsStep struct {
	Manager []string    `json:"manager"`
	Stop    []string    `json:"stop"`
	Disable []string    `json:"disable"`
	Mask    []string    `json:"mask"`
	Was     []unitState `json:"was"`
}

// unitSteps makes one step for each manager.
func (p *Plan) unitSteps(_ context.Context, w *work) error {
	for _, key := range sortedKeys(w.units) {
		u := w.units[key]
		s := &unitsStep{Manager: u.manager, Stop: u.stop}
		for _, n := range u.stop {
			st := u.states[n]
			s.Was = append(s.Was, *st)
			if st.enabled() {
				s.Disable = append(s.Disable, n)
			}
			p.unitNotes(s, u, st)
		}
		for _, n := range u.also {
			s.Was = append(s.Was, *u.states[n])
			p.breaks(n + " is stopped with it, because it needs " + strings.Join(u.stop, " or "))
		}
		p.unitWants(u)
		p.Steps = append(p.Steps, s.step())
		p.takeUnits(s, u)
	}
	return nil
}

// unitNotes decides on masking, and says what else wakes a unit.
func (p *Plan) unitNotes(s *unitsStep, u *unitWork, st *unitState) {
	pulled := u.pulledIn(st)
	switch {
	case st.props["Transient"] == "yes" || st.Enabled == "transient":
		p.note(st.Name + " was made by systemd-run and is gone once it is stopped: undo cannot start it again")
	case len(pulled) == 0 && st.Enabled != "generated":
	case strings.HasPrefix(st.props["FragmentPath"], "/etc/systemd/system/"):
		p.note(st.Name + " is pulled in by " + strings.Join(pulled, ", ") + " and cannot be masked, since its file is in /etc/systemd/system: it starts again with them")
	default:
		s.Mask = append(s.Mask, st.Name)
	}
	if st.props["BusName"] != "" {
		p.note(st.Name + " may be started by a call over D-Bus (" + st.props["BusName"] + ")")
	}
}

// pulledIn lists the units that start this one, other than by the links that
// disabling removes.
func (u *unitWork) pulledIn(st *unitState) (out []string) {
	links := installs(st)
	for _, n := range st.list("WantedBy", "RequiredBy", "UpheldBy", "BoundBy") {
		if slices.Contains(u.stop, n) || slices.Contains(u.also, n) && !slices.Contains(st.list("RequiredBy", "BoundBy"), n) || slices.Contains(out, n) {
			continue
		}
		if st.enabled() && slices.Contains(links, n) {
			continue
		}
		out = append(out, n)
	}
	return out
}

// installs reads the [Install] section: who wants the unit once it is enabled.
func installs(st *unitState) (out []string) {
	for _, f := range st.Files {
		section := ""
		for line := range strings.Lines(string(f.Text)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				section = line
			}
			k, v, ok := strings.Cut(line, "=")
			if ok && section == "[Install]" && slices.Contains([]string{"WantedBy", "RequiredBy", "UpheldBy"}, strings.TrimSpace(k)) {
				out = append(out, strings.Fields(v)...)
			}
		}
	}
	return out
}

// unitWants says who wants the units and will miss them.
func (p *Plan) unitWants(u *unitWork) {
	for _, n := range u.stop {
		for _, by := range u.states[n].list("WantedBy", "UpheldBy") {
			if strings.HasSuffix(by, ".target") || slices.Contains(u.stop, by) || slices.Contains(u.also, by) {
				continue
			}
			p.breaks(by + " wants " + n + " and will miss it")
		}
	}
}

// takeUnits notes every listener that goes with the units.
func (p *Plan) takeUnits(s *unitsStep, u *unitWork) {
	stopped := append(slices.Clone(u.stop), u.also...)
	for _, x := range p.seen.listeners() {
		manager, unit := managerOf(x)
		if strings.Join(manager, " ") == strings.Join(s.Manager, " ") && (slices.Contains(stopped, unit) || slices.Contains(stopped, x.ActivatedBy)) {
			p.goes(x)
		}
	}
}

// goes notes an endpoint that the plan shuts.
func (p *Plan) goes(s *exposure.Socket) {
	if !slices.Contains(p.gone, s.Endpoint()) {
		p.gone = append(p.gone, s.Endpoint())
	}
}

func (s *unitsStep) ctl(words ...string) []string { return append(slices.Clone(s.Manager), words...) }

func (s *unitsStep) step() Step {
	out := Step{Kind: "units", Units: s, What: "stop " + strings.Join(s.Stop, ", ") + " and keep " + itOrThem(s.Stop) + " from starting"}
	for _, c := range s.commands() {
		out.Commands = append(out.Commands, command(c...))
	}
	for _, c := range s.inverse() {
		out.Undo = append(out.Undo, command(c...))
	}
	return out
}

func itOrThem(list []string) string {
	if len(list) == 1 {
		return "it"
	}
	return "them"
}

func (s *unitsStep) commands() (out [][]string) {
	out = append(out, s.ctl(append([]string{"stop", "--"}, s.Stop...)...))
	if len(s.Disable) > 0 {
		out = append(out, s.ctl(append([]string{"disable", "--"}, s.Disable...)...))
	}
	if len(s.Mask) > 0 {
		out = append(out, s.ctl(append([]string{"mask", "--"}, s.Mask...)...))
	}
	return out
}

// inverse makes the former state: what was not enabled or not running before
// is left so. Sockets go first: a service that runs already keeps its socket
// unit from starting.
func (s *unitsStep) inverse() (out [][]string) {
	if len(s.Mask) > 0 {
		out = append(out, s.ctl(append([]string{"unmask", "--"}, s.Mask...)...))
	}
	var enable, runtime, first, then []string
	for _, u := range s.Was {
		if slices.Contains(s.Disable, u.Name) {
			if u.Enabled == "enabled-runtime" {
				runtime = append(runtime, u.Name)
			} else {
				enable = append(enable, u.Name)
			}
		}
		switch {
		case !u.running():
		case rank(u.Name) == 0 && !strings.HasSuffix(u.Name, ".target"):
			first = append(first, u.Name)
		default:
			then = append(then, u.Name)
		}
	}
	for _, c := range []struct {
		words []string
		units []string
	}{{[]string{"enable", "--"}, enable}, {[]string{"enable", "--runtime", "--"}, runtime}, {[]string{"start", "--"}, first}, {[]string{"start", "--"}, then}} {
		if len(c.units) > 0 {
			out = append(out, s.ctl(append(c.words, c.units...)...))
		}
	}
	return out
}

func (s *unitsStep) run(ctx context.Context, r *run, argvs [][]string) error {
	for _, c := range argvs {
		r.Step(command(c...))
		if _, err := r.Run(ctx, nil, c[0], c[1:]...); err != nil {
			return fail(remedy.Failed, command(c...)+" failed", err)
		}
	}
	return nil
}

func (s *unitsStep) do(ctx context.Context, r *run) error { return s.run(ctx, r, s.commands()) }

// undo starts again, and then asks whether all is as it was.
func (s *unitsStep) undo(ctx context.Context, r *run) error {
	if err := s.run(ctx, r, s.inverse()); err != nil {
		return err
	}
	for _, was := range s.Was {
		now, err := unitNow(ctx, r.Machine, s.Manager, was.Name)
		switch {
		case err != nil:
			return err
		case now == nil:
			return fail(remedy.NotRestored, "unit "+was.Name+" is gone: it cannot be started again", nil)
		case was.running() && !now.running():
			return fail(remedy.NotRestored, fmt.Sprintf("%s was %s before and is %s now", was.Name, was.Active, now.Active), nil)
		case was.Enabled != now.Enabled && was.Enabled != "":
			r.note(fmt.Sprintf("%s was %s before and is %s now", was.Name, was.Enabled, orElse(now.Enabled, "not known")))
		}
	}
	return nil
}

// changed compares the unit files: one that was edited since would start
// something else.
func (s *unitsStep) changed(_ context.Context, r *run) (out []Diff, err error) {
	for _, u := range s.Was {
		for _, f := range u.Files {
			if strings.HasPrefix(f.Path, "/run/systemd/transient/") {
				continue
			}
			now, err := r.Files.ReadFile(f.Path)
			if os.IsNotExist(err) {
				now, err = nil, nil
			}
			if err != nil {
				return nil, fail(remedy.State, "unit file "+f.Path+" cannot be read", err)
			}
			if string(now) != string(f.Text) {
				out = append(out, diff(filepath.Clean(f.Path), f.Text, now))
			}
		}
	}
	return out, nil
}

// diff compares two texts of a file.
func diff(path string, before, after []byte) Diff {
	d := Diff{Path: path, Lines: []string{}}
	for _, l := range remedy.Compare(before, after) {
		d.Lines = append(d.Lines, string(rune(l.Op))+l.Text)
	}
	return d
}
