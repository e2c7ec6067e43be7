package closing

import (
	"context"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
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
