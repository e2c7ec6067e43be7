package report

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of one host's table without -v.
const (
	maxProductLines = 4  // lines of a row
	minProduct      = 24 // columns of the last column
	maxSaid         = 60 // bytes shown of a greeting that was not recognised
	maxTLSNames     = 3
)

// unrecognised is the name that nmap gives to what it does not know.
const unrecognised = "unknown"

// openPorts walks the open ports of a host.
func openPorts(h *exposure.HostScan) iter.Seq[*exposure.PortState] {
	return func(yield func(*exposure.PortState) bool) {
		for i := range h.Ports {
			if h.Ports[i].State == exposure.Open && !yield(&h.Ports[i]) {
				return
			}
		}
	}
}

// block prints one host: who it is, its ports, what is only counted.
func (p *scanPage) block(h *exposure.HostScan) {
	p.line("")
	p.title(h)
	if h.EverythingAnswers {
		p.text("Everything answers: random ports are open too. Something in between (a firewall, a proxy, a tarpit) accepts for the host, so open says nothing here.", 0)
	}
	p.rows(h)
	p.counts(h)
}

// title names a host, unless the headline did, with what is known of it.
func (p *scanPage) title(h *exposure.HostScan) {
	title, facts := hostTitle(h), p.hostFacts(h)
	switch {
	case p.alone() && facts == "":
		return
	case p.alone():
		title = facts
	case facts != "":
		title += ": " + facts
	}
	for i, l := range wrap(breakWords(title, p.st.Width-2), p.st.Width, 2) {
		if i == 0 {
			l = p.st.paint(bold, l[2:])
		}
		p.line(l)
	}
}

// hostFacts says by what the host was found, its hardware address and what it
// may run.
func (p *scanPage) hostFacts(h *exposure.HostScan) string {
	var facts []string
	if h.Reason != "" && p.st.Verbose {
		facts = append(facts, "up by "+h.Reason)
	}
	for i, g := range h.OS {
		if i > 0 && !p.st.Verbose {
			break
		}
		facts = append(facts, fmt.Sprintf("%s (%d %%, by %s)", g.Name, g.Accuracy, g.Via))
	}
	if h.MAC != "" {
		facts = append(facts, h.MAC)
	}
	return Escape(strings.Join(facts, "; "))
}

// shown chooses the ports that have a row.
func (p *scanPage) shown(h *exposure.HostScan) []*exposure.PortState {
	others := p.st.Verbose || listedOthers(h) <= maxOthers
	var out []*exposure.PortState
	for i := range h.Ports {
		s := &h.Ports[i]
		switch {
		case p.st.Verbose:
		case s.State != exposure.Open && !others:
			continue
		case h.EverythingAnswers && !spoke(s.Service):
			continue
		}
		out = append(out, s)
	}
	return out
}

// spoke: a service that was recognised by what it said.
func spoke(s *exposure.Service) bool { return s != nil && s.Via != "" && s.Via != "table" }

func (p *scanPage) rows(h *exposure.HostScan) {
	list := p.shown(h)
	if len(list) == 0 {
		return
	}
	cols := []column{{head: "PORT"}, {head: "STATE", paint: p.stateColor}, {head: "SERVICE", min: 8}}
	if p.st.Verbose {
		cols = slices.Insert(cols, 2, column{head: "REASON", min: 10})
	}
	rows := make([][]string, len(list))
	for i, s := range list {
		rows[i] = p.cells(s)
	}
	last := p.productWidth(cols, rows)
	cols = append(cols, column{head: "PRODUCT", min: minProduct})
	var out [][]string
	for i, s := range list {
		for j, l := range p.productLines(s, last) {
			cells := rows[i]
			if j > 0 {
				cells = make([]string, len(cells))
			}
			out = append(out, append(slices.Clip(cells), l))
		}
	}
	_ = writeTable(p.w, p.st, cols, out) // the writer keeps its error for Flush
}

// productWidth is what the page leaves for the last column; 0: no limit.
func (p *scanPage) productWidth(cols []column, rows [][]string) int {
	if p.st.Width <= 0 {
		return 0
	}
	widths := naturalWidths(cols, rows)
	squeeze(widths, cols, p.st.Width-minProduct-gap)
	left := p.st.Width
	for _, w := range widths {
		left -= w + gap
	}
	return max(left, minProduct)
}

func (p *scanPage) stateColor(cell string) string {
	if strings.TrimSpace(cell) == string(exposure.Open) {
		return p.st.paint(green, cell)
	}
	return cell
}

func (p *scanPage) cells(s *exposure.PortState) []string {
	out := []string{Escape(portText(s.Port, s.Proto)), Escape(string(s.State))}
	if p.st.Verbose {
		out = append(out, reasonText(s))
	}
	return append(out, p.serviceName(s.Service))
}

// reasonText is the reason with the round trip and the answer's TTL.
func reasonText(s *exposure.PortState) string {
	out := Escape(s.Reason)
	rtt := max(s.RTT, time.Duration(s.RTTus)*time.Microsecond)
	if rtt > 0 {
		out += fmt.Sprintf(" %.3g ms", float64(rtt.Microseconds())/1000)
	}
	if s.TTL > 0 {
		out += fmt.Sprintf(" ttl %d", s.TTL)
	}
	return dash(out)
}

func (p *scanPage) serviceName(s *exposure.Service) string {
	if s == nil || s.Name == "" || s.Name == unrecognised {
		return "-"
	}
	name := Escape(s.Name)
	if !spoke(s) {
		p.guessed = true
		name += "?"
	}
	return name
}

func (p *scanPage) productLines(s *exposure.PortState, width int) []string {
	if s.Service == nil {
		return []string{"-"}
	}
	lines := wrap(breakWords(p.productText(s.Service), width), width, 0)
	if n := len(lines); n > maxProductLines && !p.st.Verbose {
		lines = lines[:maxProductLines]
		lines[maxProductLines-1] = runewidth.Truncate(lines[maxProductLines-1], max(width-2, 1), "") + " …"
	}
	if len(lines) == 0 {
		return []string{"-"}
	}
	return lines
}

// productText says what speaks at a port: product, TLS, whether it asks who
// one is; else the beginning of what it said.
func (p *scanPage) productText(s *exposure.Service) string {
	var parts []string
	if name := productName(s); name != "" {
		parts = append(parts, name)
	} else if s.Banner != "" {
		parts = append(parts, "says \""+clip(s.Banner, maxSaid)+"\"")
	}
	switch s.Auth {
	case "none":
		parts = append(parts, "asks for no password")
	case "required":
		parts = append(parts, "asks for a password")
	}
	if s.TLSDetail != nil {
		parts = append(parts, p.tlsText(s.TLSDetail))
	} else if s.TLS {
		parts = append(parts, "TLS")
	}
	return Escape(strings.Join(parts, "; "))
}

func productName(s *exposure.Service) string {
	name := strings.Join(strings.Fields(s.Product+" "+s.Version), " ")
	if s.Info != "" {
		name = strings.TrimSpace(name + " (" + s.Info + ")")
	}
	return name
}

// clip keeps the beginning of a text; Escape shows a rune that it halves.
func clip(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// tlsText is the handshake in few words: version, protocol, whose certificate
// and until when.
func (p *scanPage) tlsText(d *exposure.TLSDetail) string {
	words := []string{cmp.Or(d.Version, "TLS")}
	if d.StartTLS {
		words[0] += " after STARTTLS"
	}
	if d.ALPN != "" {
		words = append(words, d.ALPN)
	}
	if names := p.certificateNames(d); names != "" {
		words = append(words, "certificate of "+names)
	}
	switch {
	case d.SelfSigned:
		words = append(words, "self-signed")
	case d.Issuer != "":
		words = append(words, "by "+d.Issuer)
	}
	if !d.NotAfter.IsZero() {
		verb := "until "
		if d.NotAfter.Before(p.scan.Taken) {
			verb = "EXPIRED "
		}
		words = append(words, verb+d.NotAfter.UTC().Format(time.DateOnly))
	}
	return strings.Join(words, ", ")
}

func (p *scanPage) certificateNames(d *exposure.TLSDetail) string {
	var names []string
	for _, n := range append([]string{d.Subject}, d.Names...) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	more := len(names) - maxTLSNames
	if more <= 0 || p.st.Verbose {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s +%d", strings.Join(names[:maxTLSNames], " "), more)
}

// uncountedPorts is how many ports have no row, by state and reason.
type uncountedPorts struct {
	state, reason string
	n             int
}

// word is a state with its reason.
type word struct{ state, reason string }

// uncounted sums up the ports of a host that have no row, the most first.
func (p *scanPage) uncounted(h *exposure.HostScan) []uncountedPorts {
	n := map[word]int{}
	for state, count := range h.States {
		p.addUnlisted(n, h, state, count)
	}
	for i := range h.Ports {
		n[word{string(h.Ports[i].State), h.Ports[i].Reason}]++
	}
	for _, s := range p.shown(h) {
		n[word{string(s.State), s.Reason}]--
	}
	withoutReason(n)
	var out []uncountedPorts
	for k, count := range n {
		if count > 0 {
			out = append(out, uncountedPorts{k.state, k.reason, count})
		}
	}
	slices.SortFunc(out, func(a, b uncountedPorts) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.state, b.state), cmp.Compare(a.reason, b.reason))
	})
	return out
}

// addUnlisted adds the ports that a host only counts, by reason as far as
// reasons are known.
func (p *scanPage) addUnlisted(n map[word]int, h *exposure.HostScan, state exposure.PortStateName, count int) {
	if p.facts.Reasons != nil && count > 0 {
		for _, r := range p.facts.Reasons(h, state) {
			known := min(max(r.Count, 0), count)
			n[word{string(state), r.Reason}] += known
			count -= known
		}
	}
	n[word{string(state), ""}] += max(count, 0)
}

// withoutReason puts the ports of a state together where the reason of some is
// not known: a part would be taken for the whole.
func withoutReason(n map[word]int) {
	for k, count := range n {
		if all := (word{k.state, ""}); k != all && n[all] > 0 {
			n[all] += count
			n[k] = 0
		}
	}
}

// counts says how many ports have no row.
func (p *scanPage) counts(h *exposure.HostScan) {
	var out []string
	for _, c := range p.uncounted(h) {
		text := thousands(c.n) + " " + Escape(c.state)
		if c.reason != "" {
			text += " (" + Escape(c.reason) + ")"
		}
		out = append(out, text)
	}
	if len(out) > 0 {
		p.text("not listed: "+strings.Join(out, ", "), 2)
	}
}
