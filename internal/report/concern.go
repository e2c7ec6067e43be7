package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
)

// concern is one finding, or the same finding on several addresses of one port
// or several ports of one program.
type concern struct {
	exposure.Finding
	at   []string // endpoints
	row  *audit.Endpoint
	port string
}

func (p *auditPage) concerns() []concern {
	var out []concern
	index := map[string]int{}
	for _, f := range p.rep.Findings {
		if f.Severity.Rank() < exposure.Low.Rank() && !p.st.Verbose {
			continue
		}
		key := p.concernKey(f)
		if i, ok := index[key]; ok {
			out[i].at = append(out[i].at, f.Endpoint)
			continue
		}
		index[key] = len(out)
		out = append(out, concern{Finding: f, at: []string{f.Endpoint}, row: p.byName[f.Endpoint], port: endpointPort(f.Endpoint)})
	}
	return out
}

// ofProgram are the rules that say the same of every port of one program.
var ofProgram = []string{"unknown-service", "unpackaged-binary", "world-writable-binary", "deleted-binary", "unruled-listener", "not-in-policy"}

// concernKey is what findings must share to be said once: the same of one port
// on several addresses, or of one program on several ports.
func (p *auditPage) concernKey(f exposure.Finding) string {
	key := string(f.Severity) + "\x00" + f.Rule + "\x00"
	row := p.byName[f.Endpoint]
	if row != nil && len(row.Processes) > 0 && slices.Contains(ofProgram, f.Rule) {
		return key + fmt.Sprint(row.Processes[0].PID)
	}
	return key + endpointPort(f.Endpoint) + "\x00" + f.Title
}

// endpointPort turns tcp/0.0.0.0:22 into 22/tcp.
func endpointPort(name string) string {
	proto, rest, _ := strings.Cut(name, "/")
	return rest[strings.LastIndexByte(rest, ':')+1:] + "/" + proto
}

func (p *auditPage) findings() {
	for _, c := range p.concerns() {
		p.line("")
		p.concern(c)
	}
}

func (p *auditPage) concern(c concern) {
	p.line(p.concernHead(c))
	indent := 7
	p.lines(wrap(sentence(Escape(c.Title))+p.where(c), p.st.Width, indent))
	because, safe := c.Because, c.SafeBecause
	if !p.st.Verbose {
		because, safe = because[:min(3, len(because))], safe[:min(2, len(safe))]
	}
	for _, b := range because {
		p.lines(hang(sentence(Escape(b)), p.st.Width, indent, "- "))
	}
	for _, s := range safe {
		p.lines(hang("for safety: "+strings.TrimSuffix(Escape(s), ".")+".", p.st.Width, indent, "+ "))
	}
	p.fixes(c, indent)
}

// concernHead: severity, port, service, owner, and the rule at the right
// edge where it fits.
func (p *auditPage) concernHead(c concern) string {
	word := fmt.Sprintf("%-7s", strings.ToUpper(string(c.Severity)))
	left := c.port
	if c.Rule == "packet-socket" {
		left = "no port"
	}
	if c.row != nil {
		left += "  " + dash(Escape(c.row.Service)) + "  " + ownerOf(c.row)
	}
	width := p.st.Width
	if width == 0 {
		width = 100
	}
	room := width - len(word) - len(c.Rule) - 2
	if runewidth.StringWidth(left) > room {
		left = runewidth.Truncate(left, max(room, 12), "…")
	}
	pad := max(1, width-len(word)-runewidth.StringWidth(left)-len(c.Rule))
	return p.st.paint(severityColor(c.Severity), word) + p.st.paint(bold, left) + strings.Repeat(" ", pad) + p.st.paint(dim, c.Rule)
}

// where lists the addresses when there are several.
func (p *auditPage) where(c concern) string {
	if len(c.at) < 2 {
		return ""
	}
	const most = 6
	at, more := c.at, ""
	if len(at) > most && !p.st.Verbose {
		at, more = at[:most], fmt.Sprintf(" and %d more", len(c.at)-most)
	}
	return " At " + strings.Join(at, ", ") + more + "."
}

// sentence gives text a capital and a full stop. Names (python3[22], /bin/x)
// keep their form.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	word, _, _ := strings.Cut(s, " ")
	if strings.IndexFunc(word, func(r rune) bool { return !unicode.IsLower(r) && r != ',' && r != ':' && r != ';' }) < 0 {
		first, n := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(first)) + s[n:]
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// hang writes a mark, then wrapped text beside it.
func hang(text string, width, indent int, mark string) []string {
	ls := wrap(text, width, indent+len(mark))
	if len(ls) > 0 {
		ls[0] = strings.Repeat(" ", indent) + mark + strings.TrimLeft(ls[0], " ")
	}
	return ls
}

// maxFixes is how many fixes a concern shows without -v.
const maxFixes = 2

// fixes shows what to type. Commands are printed whole, never wrapped: they
// are copied. Without -v the short ones that fit the page come first.
func (p *auditPage) fixes(c concern, indent int) {
	shown := 0
	for _, f := range p.choose(c.Fix, indent) {
		shown++
		p.lines(hang(sentence(Escape(f.What)), p.st.Width, indent, "~ "))
		if f.Command != "" {
			p.line(strings.Repeat(" ", indent) + p.st.paint(bold, "> "+Escape(f.Command)))
		}
	}
	if left := len(c.Fix) - shown; left > 0 {
		p.line(strings.Repeat(" ", indent) + p.st.paint(dim, fmt.Sprintf("(%d more with -v)", left)))
	}
}

func (p *auditPage) choose(fixes []exposure.Fix, indent int) []exposure.Fix {
	if p.st.Verbose || len(fixes) <= 1 {
		return fixes
	}
	var out []exposure.Fix
	for _, f := range fixes {
		if len(out) < maxFixes && (p.st.Width == 0 || runewidth.StringWidth(f.Command)+indent+2 <= p.st.Width) {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return fixes[:1]
	}
	return out
}
