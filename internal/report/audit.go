package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
)

// AuditText prints the answer first, then what needs a person, then every
// endpoint as one row with one column per witness.
func AuditText(w io.Writer, rep *audit.Report, st Style) error {
	p := &auditPage{w: w, rep: rep, st: st, byName: map[string]*audit.Endpoint{}}
	for i := range rep.Endpoints {
		if e := &rep.Endpoints[i]; p.byName[e.Name()] == nil {
			p.byName[e.Name()] = e
		}
	}
	p.headline()
	p.outside()
	p.findings()
	p.table()
	p.notes()
	return p.err
}

type auditPage struct {
	w      io.Writer
	rep    *audit.Report
	st     Style
	byName map[string]*audit.Endpoint
	err    error
}

func (p *auditPage) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

func (p *auditPage) lines(ls []string) {
	for _, l := range ls {
		p.line(l)
	}
}

// headline: how much is open, how much needs someone, how far was looked.
func (p *auditPage) headline() {
	s := &p.rep.Summary
	name := p.rep.Host
	if name == "" {
		name = "The evidence"
	}
	head := fmt.Sprintf("%s: %s, %s.", Escape(name), count(p.ports(), "port", "ports")+" listed", needText(s.Attention))
	if s.Asked > 0 {
		head += fmt.Sprintf("  %s x %s tcp asked in %.1f s.", count(s.Addresses, "address", "addresses"), thousands(s.Asked), s.Seconds)
	}
	for i, l := range wrap(head, p.st.Width, 0) {
		if i == 0 {
			l = p.st.paint(bold, l)
		}
		p.line(l)
	}
}

// ports counts ports, on however many addresses.
func (p *auditPage) ports() int {
	seen := map[string]bool{}
	for i := range p.rep.Endpoints {
		seen[portText(p.rep.Endpoints[i].Port, p.rep.Endpoints[i].Proto)] = true
	}
	return len(seen)
}

func needText(n int) string {
	switch n {
	case 0:
		return "nothing needs you"
	case 1:
		return "1 needs you"
	}
	return fmt.Sprintf("%d need you", n)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// outside says whose eyes looked, and how to get another pair.
func (p *auditPage) outside() {
	if ev := p.rep.Summary.Evidence; len(ev) > 0 {
		for _, one := range ev {
			p.lines(wrap("Evidence: "+Escape(one.File+", "+one.What)+".", p.st.Width, 2))
		}
		p.line("Nothing was asked of any host, this one included.")
		return
	}
	if v := p.rep.Summary.Vantages; len(v) > 0 {
		p.lines(wrap("Outside view: "+Escape(strings.Join(v, ", "))+".", p.st.Width, 0))
		return
	}
	p.lines(wrap("No outside view yet: a self-scan does not meet your firewall as a stranger does. Get one on another host, then give it to the audit:", p.st.Width, 0))
	at := p.rep.Summary.Reach
	if at == "" {
		at = Escape(p.rep.Host)
	}
	p.line("  nmap -Pn -p- -oX v.xml " + at + "    portreeve audit --vantage v.xml")
}

func ownerOf(e *audit.Endpoint) string {
	if e.SentTo != "" {
		via := "sent to " + e.SentTo
		if len(e.Processes) > 0 {
			via += ", " + ownerText(e.Processes, e.Unit, e.Container, nil)
		}
		return Escape("(" + via + ")")
	}
	if e.Views.Host == audit.Absent {
		return "no listener"
	}
	unit := e.Unit
	if unit == "" {
		unit = e.ActivatedBy
	}
	return ownerText(e.Processes, unit, e.Container, e.Kernel)
}

// tableRow is one printed row: the same port on several addresses with the
// same words becomes one.
type tableRow struct {
	cells   []string
	bound   []string
	verdict exposure.Verdict
}

func (p *auditPage) rows() []tableRow {
	index := map[string]int{}
	var out []tableRow
	for i := range p.rep.Endpoints {
		e := &p.rep.Endpoints[i]
		cells := rowCells(e)
		key := rowKey(e, cells)
		j, ok := index[key]
		if !ok {
			j = len(out)
			index[key] = j
			out = append(out, tableRow{cells: cells, verdict: e.Verdict})
		}
		out[j].bound = append(out[j].bound, boundText(e.Addr, e.Scope, e.DualStack, e.Device))
	}
	for i := range out {
		out[i].cells[3] = joinBounds(out[i].bound)
	}
	return out
}

// rowKey is what rows must share to be printed as one. Where nothing listens
// the addresses are only those that were asked, so the wall's word does not
// part them.
func rowKey(e *audit.Endpoint, cells []string) string {
	cells = slices.Clone(cells)
	if e.Views.Host == audit.Absent {
		cells[wallColumn] = ""
	}
	return strings.Join(cells, "\x00")
}

const wallColumn = 6

// joinBounds writes several binds in one cell.
func joinBounds(bounds []string) string {
	if len(bounds) == 2 && slices.Contains(bounds, "any 4") && slices.Contains(bounds, "any 6") {
		return "any 4+6"
	}
	if len(bounds) == 1 {
		return bounds[0]
	}
	if !slices.ContainsFunc(bounds, func(b string) bool { return b != "127.0.0.1" && b != "::1" }) {
		return "loopback 4+6"
	}
	return fmt.Sprintf("%s +%d", bounds[0], len(bounds)-1)
}

func rowCells(e *audit.Endpoint) []string {
	return []string{portText(e.Port, e.Proto), dash(Escape(e.Service)), ownerOf(e), "",
		hostWord(e.Views.Host), netWord(e.Views.Network), wallWord(e), usedWord(e.Views.Traffic), string(e.Verdict)}
}

func hostWord(v string) string {
	switch v {
	case audit.Listening:
		return "yes"
	case audit.Absent:
		return "no"
	}
	return "?"
}

func netWord(v string) string {
	switch v {
	case string(exposure.Open):
		return "open"
	case string(exposure.Closed):
		return "shut"
	case string(exposure.Filtered):
		return "mute"
	case string(exposure.OpenFiltered):
		return "o|f"
	}
	return "?"
}

func wallWord(e *audit.Endpoint) string {
	if e.Scope == exposure.ScopeLoopback {
		return "-"
	}
	switch e.Views.Firewall {
	case exposure.Permitted:
		return "open"
	case exposure.Denied:
		return "shut"
	case exposure.Partial:
		return "some"
	}
	return "?"
}

func usedWord(t *audit.TrafficView) string {
	if t == nil {
		return "-"
	}
	if t.AtLeast {
		return fmt.Sprintf("%d+", t.Clients)
	}
	return fmt.Sprint(t.Clients)
}

func (p *auditPage) table() {
	rows := p.rows()
	if len(rows) == 0 {
		return
	}
	p.line("")
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = r.cells
	}
	colour := func(s string) string {
		return p.st.paint(verdictColor(exposure.Verdict(strings.TrimSpace(s))), s)
	}
	cols := []column{{head: "PORT"}, {head: "SERVICE", min: 7}, {head: "OWNER", min: 15}, {head: "BOUND", min: 9},
		{head: "HOST"}, {head: "NET"}, {head: "WALL"}, {head: "USED"}, {head: "VERDICT", paint: colour}}
	if err := writeTable(p.w, p.st, cols, cells); err != nil && p.err == nil {
		p.err = err
	}
	if p.st.Verbose {
		p.reasons()
	}
}

// reasons gives each row's grounds (-v).
func (p *auditPage) reasons() {
	for i := range p.rep.Endpoints {
		e := &p.rep.Endpoints[i]
		p.line("")
		p.line(p.st.paint(bold, Escape(e.Name())) + "  " + string(e.Verdict))
		for _, l := range endpointFacts(e) {
			p.lines(hang(Escape(l), p.st.Width, 2, "- "))
		}
	}
}

func endpointFacts(e *audit.Endpoint) []string {
	out := slices.Clone(e.Why)
	for _, pr := range e.Processes {
		out = append(out, fmt.Sprintf("held by %s[%d] fd %d, %s, user %s: %s", pr.Name, pr.PID, pr.FD, dash(pr.Exe), pr.User, pr.Cmdline))
	}
	if e.Package != "" {
		out = append(out, "package "+e.Package)
	}
	if e.OwnerUnknown != "" {
		out = append(out, "owner unknown: "+e.OwnerUnknown)
	}
	if e.Kernel != nil {
		out = append(out, "known from "+e.Kernel.Source)
	}
	if id := e.Identified; id != nil && id.Name != "" {
		out = append(out, strings.TrimSpace("answers as "+id.Name+" "+id.Product+" "+id.Version+" "+id.Banner))
	}
	for _, r := range e.Firewall {
		out = append(out, "firewall: "+r)
	}
	return append(out, useFacts(e)...)
}

// namedClients is how many clients are named; JSON has more.
const namedClients = 8

func useFacts(e *audit.Endpoint) []string {
	t := e.Views.Traffic
	if t == nil || len(e.UsedBy) == 0 {
		return nil
	}
	var names []string
	for _, a := range e.UsedBy[:min(namedClients, len(e.UsedBy))] {
		names = append(names, a.String())
	}
	if more := t.Clients - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	use := "used by " + strings.Join(names, ", ") + fmt.Sprintf("; %d packets", t.Packets)
	if t.Last != nil {
		use += ", last " + t.Last.UTC().Format(time.DateTime)
	}
	return []string{use}
}

// notes end the page: what came and went, and what everything rests on.
func (p *auditPage) notes() {
	s := &p.rep.Summary
	if len(s.ShortLived) > 0 {
		p.line("")
		shown := s.ShortLived[:min(5, len(s.ShortLived))]
		more := ""
		if n := len(s.ShortLived) - len(shown); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		p.lines(wrap("Opened or closed meanwhile (noted, no alarm): "+Escape(strings.Join(shown, ", "))+more+".", p.st.Width, 0))
	}
	for _, n := range s.Notes {
		if !strings.HasPrefix(n, "no outside view") {
			p.lines(wrap("Note: "+sentence(Escape(n)), p.st.Width, 0))
		}
	}
	p.legend()
}

func (p *auditPage) legend() {
	if len(p.rep.Endpoints) == 0 || p.st.Width == 0 {
		return
	}
	p.line("")
	from := "from here"
	if len(p.rep.Summary.Vantages) > 0 {
		from = "from outside"
	}
	p.line(p.st.paint(dim, "NET asked "+from+"; WALL for strangers; USED clients seen; ? unknown (-v why)"))
}
