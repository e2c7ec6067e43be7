package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// DraftInput is what a first policy is made of.
type DraftInput struct {
	Host    string
	Taken   time.Time
	Self    exposure.NetNS // whose listeners are meant
	Sockets []exposure.Socket
	// Protected says why a port must not be closed, "" when it may be; nil:
	// none is protected.
	Protected func(exposure.Proto, uint16) string
	// Operator is where the person sits who makes the draft, as an address,
	// and Way the port of this host by which they came in; "" and 0: not known.
	Operator string
	Way      uint16
	// Ephemeral are the ports that the kernel chooses from; zero is Linux's
	// own range.
	Ephemeral [2]uint16
}

// Draft is a policy made from what listens now.
type Draft struct {
	Text   []byte
	Expect int // entries
	Others int // listeners in other network namespaces, which are left out
}

// draftEntry is one entry to be: one service on one run of ports.
type draftEntry struct {
	proto       exposure.Proto
	first, last uint16
	process     string // pattern
	unit        string // pattern
	scope       exposure.Scope
	optional    bool
	notes       []string
	about       string // for the reason
}

// NewDraft writes a policy that expects just what listens in the namespace
// now. Every reason is to be filled in; Parse takes the text as it is.
func NewDraft(in *DraftInput) Draft {
	var d Draft
	if in.Ephemeral[0] == 0 {
		in.Ephemeral = [2]uint16{32768, 60999} // ip(7), ip_local_port_range
	}
	var list []draftEntry
	for i := range in.Sockets {
		s := &in.Sockets[i]
		switch {
		case !s.IsListener() || s.Port == 0:
		case s.NetNS.ID != in.Self.ID:
			d.Others++
		default:
			list = append(list, in.entry(s))
		}
	}
	list = joinRuns(joinSame(list))
	d.Expect = len(list)
	d.Text = in.write(list, d.Others)
	return d
}

func (in *DraftInput) entry(s *exposure.Socket) draftEntry {
	e := draftEntry{proto: s.Proto, first: s.Port, last: s.Port, scope: s.Scope}
	e.unit = unitGlob(s.Unit)
	if s.ActivatedBy == "" {
		e.process = processGlob(s.Processes)
	}
	e.about = about(s)
	if s.Port >= in.Ephemeral[0] && s.Port <= in.Ephemeral[1] && s.Service == "" {
		e.optional = true
		e.notes = append(e.notes, fmt.Sprintf("from the range of which the kernel chooses: after a restart it may be another; then write %d-%d/%s", in.Ephemeral[0], in.Ephemeral[1], s.Proto))
	}
	if comesAndGoes(s) {
		e.optional = true
		e.notes = append(e.notes, "no service unit keeps it running, so that it may come and go")
	}
	if len(s.Processes) == 0 && s.Kernel == nil {
		e.notes = append(e.notes, "its owner was not seen: "+cmp.Or(s.OwnerUnknown, "not known"))
	}
	if s.Device != "" {
		e.notes = append(e.notes, "bound to device "+s.Device)
	}
	return e
}

// comesAndGoes reports what people or transient jobs started where systemd
// keeps services: it is nobody's promise that it listens.
func comesAndGoes(s *exposure.Socket) bool {
	return strings.HasSuffix(s.Unit, ".scope") && s.Container == nil || strings.HasPrefix(s.Unit, "run-") || strings.HasPrefix(s.Unit, "user@")
}

// about says who it is, for the reason to be filled in.
func about(s *exposure.Socket) string {
	var out []string
	seen := map[string]bool{}
	var since time.Time
	for _, p := range s.Processes {
		if !seen[p.Name] && p.Name != "" && len(seen) < 3 {
			seen[p.Name] = true
			out = append(out, p.Name)
		}
		if !p.Started.IsZero() && (since.IsZero() || p.Started.Before(since)) {
			since = p.Started
		}
	}
	if s.Kernel != nil {
		out = append(out, "the kernel's "+s.Kernel.User)
	}
	if s.Package != "" {
		out = append(out, "package "+s.Package)
	}
	if s.ActivatedBy != "" {
		out = append(out, "started by "+s.ActivatedBy)
	}
	if s.Container != nil {
		out = append(out, "container "+cmp.Or(s.Container.Name, s.Container.ID))
	}
	if s.Service != "" {
		out = append(out, "registered as "+s.Service)
	}
	return strings.Join(append(out, listens(s, since)), ", ")
}

func listens(s *exposure.Socket, since time.Time) string {
	text := "listens on " + cmp.Or(string(s.Scope), "an unknown scope")
	if !since.IsZero() {
		text += " since " + since.UTC().Format(time.DateOnly)
	}
	return text
}

var (
	versionDigits = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)
	longHex       = regexp.MustCompile(`[0-9a-f]{12,}`)
	sessionUnit   = regexp.MustCompile(`^(session-)[0-9c]+(\.scope)$`)
	transientUnit = regexp.MustCompile(`^(run-).*(\.(?:service|scope))$`)
	clusterUnit   = regexp.MustCompile(`^([^@]+@)[0-9]+(?:\.[0-9]+)?(-[^@]*)$`)
	connUnit      = regexp.MustCompile(`^([^@]+@)[0-9]+-.*:[0-9]+-.*:[0-9]+(\.service)$`)
)

// processGlob is the pattern of the holders' name, "" when they have several.
// The number of the process and versions vary, so that they become *.
func processGlob(procs []exposure.Process) string {
	glob := ""
	for _, p := range procs {
		name := strings.ReplaceAll(p.Name, strconv.Itoa(p.PID), "\x00")
		if p.PID < 10 {
			name = p.Name // one digit says nothing
		}
		g := literal(versionDigits.ReplaceAllString(name, "\x00"))
		if glob != "" && g != glob || g == "" || strings.Contains(name, "/") {
			return ""
		}
		glob = g
	}
	return glob
}

// unitGlob leaves out what varies with each start or version: the connection
// of a per-connection service, sessions, transient units, ids of containers,
// the version of a cluster (postgresql@16-main).
func unitGlob(unit string) string {
	for _, re := range []*regexp.Regexp{sessionUnit, transientUnit, connUnit, clusterUnit} {
		if re.MatchString(unit) {
			return literal(re.ReplaceAllString(unit, "$1\x00$2"))
		}
	}
	return literal(longHex.ReplaceAllString(unit, "\x00"))
}

// literal escapes what path.Match would read as a pattern, writes * for NUL
// and ? for what cannot stand in a file.
func literal(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r == 0:
			b.WriteByte('*')
		case strings.ContainsRune(`*?[\`, r):
			b.WriteString(`\` + string(r))
		case r == '\uFFFD' || r == '/' || !strconv.IsPrint(r):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (e *draftEntry) service() string {
	return cmp.Or(e.unit, e.process, "\x7f") // what has no owner comes last
}

// joinSame makes one entry of one service's rows on the same port.
func joinSame(list []draftEntry) []draftEntry {
	slices.SortStableFunc(list, func(a, b draftEntry) int {
		return cmp.Or(cmp.Compare(a.service(), b.service()), cmp.Compare(a.process, b.process), cmp.Compare(a.proto, b.proto), int(a.first)-int(b.first))
	})
	var out []draftEntry
	for _, e := range list {
		n := len(out) - 1
		if n < 0 || !out[n].sameOwner(&e) || out[n].first != e.first {
			out = append(out, e)
			continue
		}
		if o := &out[n]; wider(e.scope, o.scope) || o.scope == "" {
			o.scope, o.about = e.scope, e.about
		}
		for _, note := range e.notes {
			if !slices.Contains(out[n].notes, note) {
				out[n].notes = append(out[n].notes, note)
			}
		}
	}
	return out
}

func (e *draftEntry) sameOwner(o *draftEntry) bool {
	return e.unit == o.unit && e.process == o.process && e.proto == o.proto
}

// shortestRun is how many neighbouring ports of one service become a range.
const shortestRun = 3

// joinRuns makes ranges of neighbouring ports that differ in nothing else.
func joinRuns(list []draftEntry) []draftEntry {
	var out []draftEntry
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && list[j].sameOwner(&list[i]) && list[j].first == list[j-1].first+1 && list[j].scope == list[i].scope &&
			list[j].optional == list[i].optional && slices.Equal(list[j].notes, list[i].notes) && list[i].service() != "\x7f" {
			j++
		}
		if j-i >= shortestRun {
			list[i].last = list[j-1].first
			out = append(out, list[i])
		} else {
			out = append(out, list[i:j]...)
		}
		i = j
	}
	return out
}
