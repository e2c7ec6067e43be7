package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Schemas of the documents about rule sets.
const (
	LintSchema    = "portreeve.lint/1"
	CompareSchema = "portreeve.compare/1"
	CheckSchema   = "portreeve.check/1"
)

// AppendDecisionJSON adds what becomes of a packet as a JSON line.
func AppendDecisionJSON(dst []byte, d *ruleset.Decision) []byte {
	dst = appendField(append(dst, '{'), "verdict", d.Verdict)
	dst = appendField(dst, "rule", d.Rule)
	if d.Line > 0 {
		dst = appendUint(dst, "line", uint64(d.Line))
	}
	dst = appendSaid(dst, "chain", d.Chain)
	return append(trimLast(appendField(dst, "why", d.Why)), "}\n"...)
}

// DecisionText says it to people.
func DecisionText(w io.Writer, d *ruleset.Decision, st Style) error {
	lines := []string{st.paint(decisionColor(d.Verdict), d.Verdict)}
	if d.Rule != "" {
		lines = append(lines, para("  by "+Escape(d.Rule)+lineText(d.Line), st.Width, 5)...)
	}
	if d.Why != "" {
		lines = append(lines, para("  because "+Escape(d.Why), st.Width, 10)...)
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

func decisionColor(verdict string) string {
	switch verdict {
	case ruleset.PermitPacket:
		return green
	case ruleset.DenyPacket:
		return red
	}
	return yellow
}

func lineText(n int) string {
	if n == 0 {
		return ""
	}
	return " (line " + strconv.Itoa(n) + ")"
}

// Lint is what a look at every rule found.
type Lint struct {
	Taken        time.Time
	Host, Source string
	Rules        int
	Findings     []ruleset.Finding
	Gaps         []exposure.Gap
}

type lintDoc struct {
	Schema     string         `json:"schema"`
	Taken      time.Time      `json:"taken"`
	Host       string         `json:"host"`
	Source     string         `json:"source"`
	Incomplete []exposure.Gap `json:"incomplete"`
	Rules      int            `json:"rules"`
	Findings   []lintFinding  `json:"findings"`
}

type lintFinding struct {
	Rule  string `json:"rule"`
	Line  int    `json:"line"`
	Chain string `json:"chain"`
	Text  string `json:"text"`
	By    []int  `json:"by"`
	Why   string `json:"why"`
	Sure  bool   `json:"sure"`
}

// LintJSON writes portreeve.lint/1.
func LintJSON(w io.Writer, l *Lint) error {
	d := lintDoc{Schema: LintSchema, Taken: l.Taken, Host: l.Host, Source: l.Source, Incomplete: append([]exposure.Gap{}, l.Gaps...), Rules: l.Rules, Findings: []lintFinding{}}
	for _, f := range l.Findings {
		d.Findings = append(d.Findings, lintFinding{f.Rule, f.Line, f.Chain, f.Text, append([]int{}, f.By...), f.Why, f.Sure})
	}
	return JSON(w, &d)
}

// mostFindings of one kind are shown without st.Verbose.
const mostFindings = 20

// LintText writes the findings by kind, the gravest kinds first.
func LintText(w io.Writer, l *Lint, st Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s to look at.\n", Escape(l.Source), amount(l.Rules, "rule", "rules"), amount(len(l.Findings), "finding", "findings"))
	for _, kind := range lintKinds(l.Findings) {
		n := 0
		for i := range l.Findings {
			f := &l.Findings[i]
			if f.Rule != kind {
				continue
			}
			if n++; n <= mostFindings || st.Verbose {
				b.WriteString(findingText(f, st))
			}
		}
		if n > mostFindings && !st.Verbose {
			fmt.Fprintf(&b, "\n%s: and %d more (-v shows all)\n", kind, n-mostFindings)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lintKinds are the kinds that occur, in the order of their weight.
func lintKinds(list []ruleset.Finding) (kinds []string) {
	order := []string{"cyclic-jump", "too-wide", "shadowed", "no-listener", "unreachable-chain", "redundant", "never-hit", "unfinished"}
	for _, f := range list {
		if !slices.Contains(kinds, f.Rule) {
			kinds = append(kinds, f.Rule)
		}
	}
	slices.SortFunc(kinds, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return kinds
}

func findingText(f *ruleset.Finding, st Style) string {
	head := f.Rule + "  " + Escape(f.Chain) + lineText(f.Line)
	if !f.Sure {
		head += "  (perhaps)"
	}
	out := []string{"", st.paint(bold, head)}
	if f.Text != "" {
		text := Escape(f.Text)
		if st.Width > 0 && !st.Verbose {
			text = fit(text, st.Width-2)
		}
		out = append(out, "  "+strings.TrimRight(text, " "))
	}
	why := f.Why
	if len(f.By) > 0 {
		why += "; " + lineWord(len(f.By)) + numbers(f.By)
	}
	return strings.Join(append(out, para("  "+Escape(why), st.Width, 2)...), "\n") + "\n"
}

func lineWord(n int) string {
	if n == 1 {
		return "line "
	}
	return "lines "
}

func numbers(list []int) string {
	const most = 12
	var words []string
	for _, n := range list[:min(len(list), most)] {
		words = append(words, strconv.Itoa(n))
	}
	if len(list) > most {
		words = append(words, fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(words, ", ")
}

// Compared is where two rule sets differ.
type Compared struct {
	Taken       time.Time
	Host, A, B  string
	Differences ruleset.Differences
	Gaps        []exposure.Gap
	// All: packets of every connection state were compared in lists, not
	// only the first ones of connections.
	All bool
}

func (c *Compared) packets() string {
	if c.All {
		return "every packet"
	}
	return "every first packet of a connection"
}

type compareDoc struct {
	Schema      string         `json:"schema"`
	Taken       time.Time      `json:"taken"`
	Host        string         `json:"host"`
	A           string         `json:"a"`
	B           string         `json:"b"`
	Incomplete  []exposure.Gap `json:"incomplete"`
	Equal       bool           `json:"equal"`
	More        bool           `json:"more"`
	Why         string         `json:"why,omitempty"`
	Differences []differsIn    `json:"differences"`
}

type differsIn struct {
	Region  map[string]string `json:"region"`
	Example Packet            `json:"example"`
	A       decisionDoc       `json:"a"`
	B       decisionDoc       `json:"b"`
	Path    string            `json:"path,omitempty"`
}

type decisionDoc struct {
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"`
	Line    int    `json:"line,omitempty"`
	Why     string `json:"why,omitempty"`
}

// Packet is a packet as rules query takes it and rules compare gives it. What it
// leaves out is open.
type Packet struct {
	Proto    string  `json:"proto,omitempty"`
	Src      string  `json:"src,omitempty"`
	SrcPort  *uint16 `json:"src_port,omitempty"`
	Dst      string  `json:"dst,omitempty"`
	DstPort  *uint16 `json:"dst_port,omitempty"`
	In       string  `json:"in,omitempty"`
	Out      string  `json:"out,omitempty"`
	State    string  `json:"state,omitempty"`
	TCPFlags *uint8  `json:"tcp_flags,omitempty"`
	ICMPType *uint8  `json:"icmp_type,omitempty"`
	ICMPCode *uint8  `json:"icmp_code,omitempty"`
	Length   *uint16 `json:"length,omitempty"`
}

func packetOf(p *ruleset.Packet) Packet {
	d := Packet{Src: jsonAddr(p.Src), SrcPort: p.SrcPort, Dst: jsonAddr(p.Dst), DstPort: p.DstPort, In: p.In, Out: p.Out, State: p.State, TCPFlags: p.TCPFlags, ICMPType: p.ICMPType, ICMPCode: p.ICMPCode, Length: p.Length}
	if p.Proto != 0 {
		d.Proto = string(exposure.ProtoByNumber(p.Proto))
	}
	return d
}

// CompareJSON writes portreeve.compare/1.
func CompareJSON(w io.Writer, c *Compared) error {
	d := compareDoc{
		Schema: CompareSchema, Taken: c.Taken, Host: c.Host, A: c.A, B: c.B, Incomplete: append([]exposure.Gap{}, c.Gaps...),
		Equal: len(c.Differences.List) == 0 && !c.Differences.More, More: c.Differences.More, Why: c.Differences.Why, Differences: []differsIn{},
	}
	for i := range c.Differences.List {
		x := &c.Differences.List[i]
		region := map[string]string{}
		for _, l := range x.Region {
			region[l.Field.String()] = l.Values
		}
		d.Differences = append(d.Differences, differsIn{region, packetOf(&x.Example), decisionOf(&x.A), decisionOf(&x.B), x.Path})
	}
	return JSON(w, &d)
}

func decisionOf(d *ruleset.Decision) decisionDoc {
	return decisionDoc{d.Verdict, d.Rule, d.Line, d.Why}
}

// CompareText says it to people.
func CompareText(w io.Writer, c *Compared, st Style) error {
	var b strings.Builder
	switch n := len(c.Differences.List); {
	case n == 0 && !c.Differences.More:
		fmt.Fprintf(&b, "equal: %s and %s do the same with %s.\n", Escape(c.A), Escape(c.B), c.packets())
	default:
		fmt.Fprintf(&b, "%s where A (%s) and B (%s) differ.\n", amount(n, "region", "regions"), Escape(c.A), Escape(c.B))
	}
	for i := range c.Differences.List {
		b.WriteString(differenceText(&c.Differences.List[i], st))
	}
	if c.Differences.More {
		b.WriteString("\nThere is more: " + Escape(c.Differences.Why) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func differenceText(d *ruleset.Difference, st Style) string {
	region := d.Region.String()
	if region == "" {
		region = "every packet"
	}
	if d.Path != "" {
		region = d.Path + ": " + region
	}
	out := append([]string{""}, para(Escape(region), st.Width, 2)...)
	out = append(out, "  as "+exampleText(&d.Example))
	for _, side := range []struct {
		name string
		d    *ruleset.Decision
	}{{"A", &d.A}, {"B", &d.B}} {
		text := "  " + side.name + " " + side.d.Verdict + ": " + Escape(side.d.Rule) + lineText(side.d.Line)
		if side.d.Why != "" {
			text += "; " + Escape(side.d.Why)
		}
		out = append(out, para(text, st.Width, 4)...)
	}
	return strings.Join(out, "\n") + "\n"
}

func exampleText(p *ruleset.Packet) string {
	proto := "any protocol"
	if p.Proto != 0 {
		proto = string(exposure.ProtoByNumber(p.Proto))
	}
	s := proto + " " + endText(p.Src, p.SrcPort) + " > " + endText(p.Dst, p.DstPort)
	if p.ICMPType != nil {
		s += fmt.Sprintf(" type %d", *p.ICMPType)
	}
	for _, part := range []struct{ key, value string }{{"in", p.In}, {"out", p.Out}, {"state", p.State}} {
		if part.value != "" {
			s += " " + part.key + " " + Escape(part.value)
		}
	}
	return s
}

func endText(a netip.Addr, port *uint16) string {
	addr := "any"
	if a.IsValid() {
		addr = a.Unmap().String()
	}
	if port == nil {
		return addr
	}
	return addr + " port " + strconv.Itoa(int(*port))
}
