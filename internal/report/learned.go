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
	"github.com/portreeve/portreeve/internal/firewall/learn"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// LearnSchema is the name of the document that LearnedJSON writes.
const LearnSchema = "portreeve.learn/1"

// Learned is what became of flows that rules were learned from.
type Learned struct {
	Taken   time.Time
	Host    string
	Sources []string
	File    *rulefile.File
	Report  *learn.Report
	Notes   []string
	Gaps    []exposure.Gap
	Denied  bool // permits were proposed from denials
}

type learnDoc struct {
	Schema     string         `json:"schema"`
	Taken      time.Time      `json:"taken"`
	Host       string         `json:"host"`
	Sources    []string       `json:"sources"`
	Incomplete []exposure.Gap `json:"incomplete"`
	From       *time.Time     `json:"from,omitempty"`
	To         *time.Time     `json:"to,omitempty"`
	Rules      int            `json:"rules"`

	Flows       uint64 `json:"flows"`
	Established uint64 `json:"established"`
	Unanswered  uint64 `json:"unanswered"`
	Scanned     uint64 `json:"scanned"`
	OneOff      uint64 `json:"one_off"`
	TooLight    uint64 `json:"too_light"`
	Related     uint64 `json:"related"`
	Local       uint64 `json:"local"`
	Odd         uint64 `json:"odd"`
	Turned      uint64 `json:"turned"`
	Overflow    uint64 `json:"overflow"`

	Scanners   []scannerDoc `json:"scanners"`
	LeftOut    []leftOutDoc `json:"left_out"`
	Home       []string     `json:"taken_for_own"`
	CannotKnow []string     `json:"cannot_know"`
	Notes      []string     `json:"notes"`
}

type scannerDoc struct {
	Client string `json:"client"`
	Doors  int    `json:"doors"`
	Sweeps int    `json:"sweeps"`
	Probed int    `json:"probed"`
}

type leftOutDoc struct {
	Service string `json:"service"`
	Client  string `json:"client"`
	Server  string `json:"server"`
	Flows   uint64 `json:"flows"`
	Why     string `json:"why"`
}

// LearnedJSON writes portreeve.learn/1.
func LearnedJSON(w io.Writer, l *Learned) error {
	r := l.Report
	d := learnDoc{
		Schema: LearnSchema, Taken: l.Taken, Host: l.Host, Sources: append([]string{}, l.Sources...), Incomplete: append([]exposure.Gap{}, l.Gaps...),
		From: timeOrNil(r.From), To: timeOrNil(r.To), Rules: len(l.File.Rules),
		Flows: r.Flows, Established: r.Established, Unanswered: r.Unanswered, Scanned: r.ScanFlows, OneOff: r.OneOff, TooLight: r.TooLight,
		Related: r.Related, Local: r.Local, Odd: r.Odd, Turned: r.Turned, Overflow: r.Overflow,
		Scanners: []scannerDoc{}, LeftOut: []leftOutDoc{}, Home: []string{}, CannotKnow: append([]string{}, l.File.CannotKnow...), Notes: append([]string{}, l.Notes...),
	}
	for _, s := range r.Scanners {
		d.Scanners = append(d.Scanners, scannerDoc{jsonAddr(s.Client), s.Doors, s.Sweeps, s.Probed})
	}
	for _, x := range r.LeftOut {
		d.LeftOut = append(d.LeftOut, leftOutDoc{x.Service, jsonAddr(x.Client), jsonAddr(x.Server), x.Flows, x.Why})
	}
	for _, p := range r.Home {
		d.Home = append(d.Home, p.String())
	}
	return JSON(w, &d)
}

// LearnedText says it to people.
func LearnedText(w io.Writer, l *Learned, st Style) error {
	r := l.Report
	var b strings.Builder
	for _, p := range []string{
		learnedHead(l),
		leftText(r),
	} {
		if p != "" {
			b.WriteString(strings.Join(para(p, st.Width, 2), "\n") + "\n")
		}
	}
	for i, s := range r.Scanners {
		if i == mostScans && !st.Verbose {
			fmt.Fprintf(&b, "  and %d more scanners (-v)\n", len(r.Scanners)-i)
			break
		}
		fmt.Fprintf(&b, "  scanner, left out: %s asked %s in vain\n", s.Client, amount(s.Doors, "door", "doors"))
	}
	for i, x := range r.LeftOut {
		if i == mostScans && !st.Verbose {
			fmt.Fprintf(&b, "  and %d more left out (-v)\n", len(r.LeftOut)-i)
			break
		}
		text := fmt.Sprintf("  left out: %s > %s %s (%s): %s", x.Client, x.Server, x.Service, amount(int(x.Flows), "flow", "flows"), x.Why)
		b.WriteString(strings.Join(para(Escape(text), st.Width, 4), "\n") + "\n")
	}
	for _, n := range unknowns(l) {
		b.WriteString(strings.Join(para("Not known: "+Escape(n), st.Width, 2), "\n") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func learnedHead(l *Learned) string {
	r, rules := l.Report, amount(len(l.File.Rules), "rule", "rules")
	if !l.Denied {
		return fmt.Sprintf("%s of %s, %s of them answered%s.", rules, amount(int(r.Flows), "flow", "flows"), thousands(int(r.Established)), windowText(r))
	}
	asks := 0
	for i := range l.File.Rules {
		if l.File.Rules[i].Action == rulefile.Ask {
			asks++
		}
	}
	return fmt.Sprintf("%s, %d of them questions that wait for a yes (action: ask); of %s%s.", rules, asks, amount(int(r.Flows), "flow", "flows"), windowText(r))
}

// unknowns are what the evidence cannot tell, each once.
func unknowns(l *Learned) []string {
	out := slices.Clone(l.File.CannotKnow)
	for _, n := range l.Notes {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func windowText(r *learn.Report) string {
	if r.From.IsZero() {
		return ""
	}
	return fmt.Sprintf(", from %s to %s", stamp(r.From), stamp(r.To))
}

// leftText says what was not learned from.
func leftText(r *learn.Report) string {
	var words []string
	for _, x := range []struct {
		n    uint64
		what string
	}{{r.Unanswered, "unanswered"}, {r.ScanFlows, "of scanners"}, {r.OneOff, "done once"}, {r.TooLight, "too light for the rules asked for"}, {r.Related, "part of another connection"},
		{r.Local, "local to a link"}, {r.Odd, "odd"}, {r.Overflow, "without room"}} {
		if x.n > 0 {
			words = append(words, thousands(int(x.n))+" "+x.what)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "Not learned from: " + strings.Join(words, ", ") + "."
}

// RuleText is a rule with its evidence, some lines.
func RuleText(r *rulefile.Rule) string {
	s := Escape(r.String()) + "\n"
	e := r.Evidence
	if e == nil {
		return s
	}
	if e.Denied > 0 {
		s += fmt.Sprintf("  denied %s", amount(int(e.Denied), "time", "times"))
	} else {
		s += fmt.Sprintf("  %s", amount(int(e.Flows), "flow", "flows"))
	}
	s += fmt.Sprintf(" by %s", amount(e.Clients, "client", "clients"))
	if !e.First.IsZero() {
		s += fmt.Sprintf(", %s to %s", stamp(e.First), stamp(e.Last))
	}
	for _, p := range e.Peers {
		s += "\n  " + Escape(p)
	}
	if e.Why != "" {
		s += "\n  " + Escape(e.Why)
	}
	return s + "\n"
}

// Checked is what a replay showed.
type Checked struct {
	Taken   time.Time
	Host    string
	Rules   string
	Flows   []string
	Result  *learn.Result
	Surplus []learn.Region
	Notes   []string
	Gaps    []exposure.Gap
}

type checkDoc struct {
	Schema     string         `json:"schema"`
	Taken      time.Time      `json:"taken"`
	Host       string         `json:"host"`
	Incomplete []exposure.Gap `json:"incomplete"`
	Rules      string         `json:"rules"`
	Flows      uint64         `json:"flows"`
	Permitted  uint64         `json:"permitted"`
	Denied     uint64         `json:"denied"`
	Unknown    uint64         `json:"unknown"`

	Established          uint64 `json:"established"`
	EstablishedPermitted uint64 `json:"established_permitted"`
	Attempts             uint64 `json:"attempts"`
	AttemptsPermitted    uint64 `json:"attempts_permitted"`

	Examples []checkExample `json:"examples"`
	Surplus  []surplusDoc   `json:"surplus"`
}

type checkExample struct {
	Flow    exposure.Flow `json:"flow"`
	Verdict string        `json:"verdict"`
	Rule    string        `json:"rule"`
}

type surplusDoc struct {
	Rule    string  `json:"rule"`
	Doors   float64 `json:"doors"`
	Seen    int     `json:"seen"`
	Clients float64 `json:"clients"`
	Servers float64 `json:"servers"`
	Ports   float64 `json:"ports"`
}

// CheckJSON writes portreeve.check/1.
func CheckJSON(w io.Writer, c *Checked) error {
	r := c.Result
	d := checkDoc{
		Schema: CheckSchema, Taken: c.Taken, Host: c.Host, Incomplete: append([]exposure.Gap{}, c.Gaps...), Rules: c.Rules,
		Flows: r.Flows, Permitted: r.Permitted, Denied: r.Denied, Unknown: r.Unknown,
		Established: r.Established, EstablishedPermitted: r.EstablishedPermitted, Attempts: r.Attempts, AttemptsPermitted: r.AttemptsPermitted,
		Examples: []checkExample{}, Surplus: []surplusDoc{},
	}
	for i := range r.Examples {
		x := &r.Examples[i]
		d.Examples = append(d.Examples, checkExample{x.Flow, verdictWord(x.Verdict), x.Rule})
	}
	for i := range c.Surplus {
		x := &c.Surplus[i]
		d.Surplus = append(d.Surplus, surplusDoc{x.Rule.String(), x.Doors, x.SeenDoors, x.Clients, x.Servers, x.Ports})
	}
	return JSON(w, &d)
}

func verdictWord(v exposure.PermitVerdict) string {
	switch v {
	case exposure.Permitted:
		return "permit"
	case exposure.Denied:
		return "deny"
	}
	return "unknown"
}

// CheckText says it to people.
func CheckText(w io.Writer, c *Checked, st Style) error {
	r := c.Result
	var b strings.Builder
	cut := r.Established - r.EstablishedPermitted
	head := fmt.Sprintf("%s against %s: nothing that was established would be cut.", amount(int(r.Flows), "flow", "flows"), Escape(c.Rules))
	if cut > 0 {
		head = fmt.Sprintf("%s against %s: %s would be cut or are not certain.", amount(int(r.Flows), "flow", "flows"), Escape(c.Rules), amount(int(cut), "established flow", "established flows"))
	}
	b.WriteString(strings.Join(para(head, st.Width, 2), "\n") + "\n")
	counts := fmt.Sprintf("%s permitted, %s denied, %s unknown; of %s attempts that came to nothing, %s would pass.",
		thousands(int(r.Permitted)), thousands(int(r.Denied)), thousands(int(r.Unknown)), thousands(int(r.Attempts)), thousands(int(r.AttemptsPermitted)))
	b.WriteString(strings.Join(para(counts, st.Width, 2), "\n") + "\n")
	for i := range r.Examples {
		if i == mostScans && !st.Verbose {
			fmt.Fprintf(&b, "  and more (-v)\n")
			break
		}
		x := &r.Examples[i]
		text := fmt.Sprintf("  %s %s: %s", verdictWord(x.Verdict), flowWords(&x.Flow), x.Rule)
		b.WriteString(strings.Join(para(Escape(text), st.Width, 4), "\n") + "\n")
	}
	if len(c.Surplus) > 0 {
		b.WriteString("\nOpen beyond what was seen, the widest first (a door: client, server, port):\n")
	}
	for i := range c.Surplus {
		if i == mostFindings && !st.Verbose {
			break
		}
		x := &c.Surplus[i]
		text := fmt.Sprintf("  %s: %s of %s doors used", x.Rule.String(), thousands(x.SeenDoors), big(x.Doors))
		b.WriteString(strings.Join(para(Escape(text), st.Width, 4), "\n") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// big writes large numbers shortly.
func big(n float64) string {
	if n < 1e9 {
		return thousands(int(n))
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

func flowWords(f *exposure.Flow) string {
	return fmt.Sprintf("%s %s > %s", f.Proto, f.Client, netip.AddrPortFrom(f.Server, f.ServerPort))
}

// Notes writes sentences for whoever decides, one paragraph each.
func Notes(w io.Writer, notes []string, st Style) {
	for _, n := range notes {
		_, _ = io.WriteString(w, strings.Join(para("Note: "+Escape(n), st.Width, 2), "\n")+"\n")
	}
}
