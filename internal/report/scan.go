package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/nmapxml"
)

// ScanFacts is what a scan's page says beyond the scan; the zero value says
// nothing more.
type ScanFacts struct {
	Addresses uint64 // addresses asked; 0: as many as the scan has hosts
	Asked     uint64 // ports asked on all of them; 0: what HostScan.Asked says
	// Reasons tells why a host's unlisted ports have a state that
	// HostScan.States counts (scan.Result.Reasons); nil where nobody knows.
	Reasons func(h *exposure.HostScan, state exposure.PortStateName) []nmapxml.Reason
}

// Bounds of a scan's page without -v.
const (
	maxBlocks   = 24 // hosts with a table of their own; beyond, one line each
	maxOthers   = 16 // listed ports of a host that are not open and have a row
	maxQuiet    = 4  // hosts with nothing open that are named
	lossToWarn  = 0.02
	maxScanGaps = 5
)

// ScanText prints the answer first, then what is open: a table for each host,
// or a line for each when they are many, then what needs saying about the rest.
func ScanText(w io.Writer, scan *exposure.Scan, facts ScanFacts, st Style) error {
	p := &scanPage{w: bufio.NewWriterSize(w, scanPiece), scan: scan, facts: facts, st: st}
	p.sort()
	p.headline()
	p.gaps()
	switch {
	case len(p.open) > maxBlocks && !st.Verbose:
		p.crowd()
	default:
		for _, h := range p.open {
			p.block(h)
		}
	}
	p.quietHosts()
	p.legend()
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write the scan's page: %w", err)
	}
	return nil
}

// scanPage holds the hosts by what is to be said of them.
type scanPage struct {
	w       *bufio.Writer // its first error sticks until Flush
	scan    *exposure.Scan
	facts   ScanFacts
	st      Style
	open    []*exposure.HostScan // something is open or everything answers
	quiet   []*exposure.HostScan // up, nothing open
	silent  []*exposure.HostScan // no answer
	ports   int                  // open ports of hosts where not everything answers
	unsure  int                  // ports open|filtered
	echoes  int                  // hosts where everything answers
	guessed bool                 // a service was named by its port alone
}

func (p *scanPage) sort() {
	for i := range p.scan.Hosts {
		h := &p.scan.Hosts[i]
		open := countState(h, exposure.Open)
		p.unsure += countState(h, exposure.OpenFiltered)
		switch {
		case h.EverythingAnswers:
			p.echoes++
			p.open = append(p.open, h)
		case open > 0:
			p.ports += open
			p.open = append(p.open, h)
		case h.Up:
			p.quiet = append(p.quiet, h)
		default:
			p.silent = append(p.silent, h)
		}
	}
}

// countState counts a host's ports of one state, listed or not.
func countState(h *exposure.HostScan, state exposure.PortStateName) int {
	n := h.States[state]
	for i := range h.Ports {
		if h.Ports[i].State == state {
			n++
		}
	}
	return n
}

func (p *scanPage) line(s string) {
	_, _ = p.w.WriteString(s) // Flush tells the error
	_ = p.w.WriteByte('\n')
}

// text prints a paragraph, hanging after its first line.
func (p *scanPage) text(s string, indent int) {
	for i, l := range wrap(breakWords(s, p.st.Width-indent), p.st.Width, indent) {
		if i == 0 {
			l = l[indent:]
		}
		p.line(l)
	}
}

// breakWords cuts words that no line can hold; width 0 is no limit.
func breakWords(s string, width int) string {
	if width <= 0 || runewidth.StringWidth(s) <= width {
		return s
	}
	var out []string
	for word := range strings.FieldsSeq(s) {
		for runewidth.StringWidth(word) > width {
			head := runewidth.Truncate(word, width, "")
			if head == "" {
				break // a rune wider than the page
			}
			out = append(out, head)
			word = word[len(head):]
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

// headline: who is up, what is open, how far and how well was looked.
func (p *scanPage) headline() {
	lines := wrap(breakWords(p.answer()+p.effort()+".", p.st.Width), p.st.Width, 0)
	for i, l := range lines {
		if i == 0 {
			l = p.st.paint(bold, l)
		}
		p.line(l)
	}
}

func (p *scanPage) answer() string {
	up := len(p.open) + len(p.quiet)
	var head string
	switch {
	case p.alone() && up == 0:
		return hostTitle(&p.scan.Hosts[0]) + ": no answer"
	case p.alone():
		head = hostTitle(&p.scan.Hosts[0]) + ": "
	case up == 0:
		return "No host up of " + thousands(p.addresses())
	default:
		head = fmt.Sprintf("%s up of %s, ", several(up, "host", "hosts"), thousands(p.addresses()))
	}
	return head + p.openText()
}

// openText counts what is open, apart from hosts where everything answers.
func (p *scanPage) openText() string {
	if p.echoes > 0 && p.alone() {
		return "everything answers"
	}
	out := "no port open"
	if p.ports > 0 {
		out = several(p.ports, "port", "ports") + " open"
	}
	if p.unsure > 0 {
		out += fmt.Sprintf(", %s %s", thousands(p.unsure), exposure.OpenFiltered)
	}
	if p.echoes > 0 {
		out += ", everything answers on " + several(p.echoes, "host", "hosts")
	}
	return out
}

func (p *scanPage) addresses() int { return max(int(p.facts.Addresses), len(p.scan.Hosts)) }

// alone: one address was asked, so the headline names it.
func (p *scanPage) alone() bool { return p.addresses() == 1 && len(p.scan.Hosts) == 1 }

// effort says how much was asked, in what time, with what loss.
func (p *scanPage) effort() string {
	var parts []string
	if n := p.asked(); n > 0 {
		parts = append(parts, several(int(n), "port", "ports")+" asked")
	}
	s := &p.scan.Stats
	if s.Seconds > 0 {
		parts = append(parts, "in "+secondsText(s.Seconds))
	}
	out := strings.Join(parts, " ")
	switch {
	case s.Loss.CanarySent > 0:
		out = join(out, fmt.Sprintf("loss %.1f %%", 100*s.Loss.Estimate))
	case s.Sent > 0:
		out = join(out, "loss not measured")
	}
	if out == "" {
		return ""
	}
	return "; " + out
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// secondsText is a duration as people say it.
func secondsText(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 7200:
		return fmt.Sprintf("%.0f min", s/60)
	}
	return fmt.Sprintf("%.1f h", s/3600)
}

func (p *scanPage) asked() uint64 {
	n := p.facts.Asked
	if n > 0 {
		return n
	}
	for i := range p.scan.Hosts {
		for _, asked := range p.scan.Hosts[i].Asked {
			n += uint64(max(asked, 0))
		}
	}
	return n
}

// several is a count with its noun.
func several(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// gaps says on the page itself that it is not whole.
func (p *scanPage) gaps() {
	lines := gapsText(p.scan.Gaps)
	shown := lines[:min(maxScanGaps, len(lines))]
	if p.st.Verbose {
		shown = lines
	}
	for _, l := range shown {
		p.text("Incomplete: "+l, 2)
	}
	if n := len(lines) - len(shown); n > 0 {
		p.line(fmt.Sprintf("(%s with -v)", several(n, "more reason", "more reasons")))
	}
	if l := p.scan.Stats.Loss; l.CanarySent > 0 && l.Estimate >= lossToWarn {
		p.text(fmt.Sprintf("At %.1f %% loss open ports may be missing: ask again with a lower --rate.", 100*l.Estimate), 0)
	}
}

// quietHosts sums up who is up with nothing open, and who did not answer.
func (p *scanPage) quietHosts() {
	if p.alone() && len(p.open) == 0 {
		p.block(&p.scan.Hosts[0])
		return
	}
	p.sumUp("Up, nothing open", p.quiet)
	if p.st.Verbose {
		p.sumUp("No answer", p.silent)
	}
}

func (p *scanPage) sumUp(what string, hosts []*exposure.HostScan) {
	switch {
	case len(hosts) == 0:
	case len(hosts) <= maxQuiet || p.st.Verbose:
		p.line("")
		p.text(what+": "+strings.Join(addressRuns(hosts), ", ")+".", 2)
	default:
		p.line("")
		p.line(fmt.Sprintf("%s: %s (-v names them).", what, several(len(hosts), "host", "hosts")))
	}
}

// addressRuns names hosts, neighbours without names as first-last.
func addressRuns(hosts []*exposure.HostScan) []string {
	var out []string
	for i := 0; i < len(hosts); {
		n := runLength(hosts[i:])
		out = append(out, runTitle(hosts[i:i+n]))
		i += n
	}
	return out
}

// runLength is how many hosts from the first on are neighbours without names.
func runLength(hosts []*exposure.HostScan) int {
	n := 1
	for n < len(hosts) && neighbours(hosts[n-1], hosts[n]) {
		n++
	}
	return n
}

func neighbours(a, b *exposure.HostScan) bool {
	return a.Name == "" && b.Name == "" && a.Addr.IsValid() && a.Addr.Next() == b.Addr
}

func runTitle(run []*exposure.HostScan) string {
	first := hostTitle(run[0])
	if len(run) == 1 {
		return first
	}
	return first + "-" + hostTitle(run[len(run)-1])
}

// hostTitle is a host's address with its name.
func hostTitle(h *exposure.HostScan) string {
	addr := ""
	if h.Addr.IsValid() {
		addr = Escape(h.Addr.String())
	}
	name := strings.Join(strings.Fields(Escape(h.Name)), " ")
	switch {
	case addr == "":
		return dash(name)
	case name == "" || name == addr:
		return addr
	}
	return addr + " (" + name + ")"
}

func (p *scanPage) legend() {
	if p.guessed {
		p.line("")
		p.line(p.st.paint(dim, "? the port's registered name only; --identify asks what speaks there"))
	}
}

// listedOthers are the ports of a host that are listed and not open.
func listedOthers(h *exposure.HostScan) int {
	n := len(h.Ports)
	for range openPorts(h) {
		n--
	}
	return n
}
