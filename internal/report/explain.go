package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// TopicPort is a port that an explanation is about.
type TopicPort struct {
	Proto exposure.Proto `json:"proto"`
	Port  uint16         `json:"port"`
}

// Explanation is what is known of a port or service in general and here.
type Explanation struct {
	Topic      string              `json:"topic"`
	Ports      []TopicPort         `json:"ports"`
	Entries    []knowledge.Entry   `json:"registry"`
	Reserved   string              `json:"range,omitempty"`
	Advice     []*knowledge.Advice `json:"advice"`
	Endpoints  []audit.Endpoint    `json:"endpoints"`
	Findings   []exposure.Finding  `json:"findings"`
	Incomplete []exposure.Gap      `json:"incomplete"`
	// Reached is who used the ports by the history; absent without one.
	Reached []Reached `json:"reached,omitempty"`
}

// Reached is who used one port since the history begins. Last is nil when
// nobody came; that means something only for WatchedSeconds.
type Reached struct {
	TopicPort
	Clients        int          `json:"clients"`
	Addrs          []netip.Addr `json:"addrs"` // the most recent first, some of them
	Last           *time.Time   `json:"last"`
	WatchedSeconds float64      `json:"watched_seconds"`
}

// ExplainText prints an explanation: what it is, who has it here, whether it
// is safe, how to close it.
func ExplainText(w io.Writer, ex *Explanation, st Style) error {
	p := &auditPage{w: w, rep: &audit.Report{Endpoints: ex.Endpoints, Findings: ex.Findings}, st: st, byName: map[string]*audit.Endpoint{}}
	for i := range ex.Endpoints {
		p.byName[ex.Endpoints[i].Name()] = &ex.Endpoints[i]
	}
	p.registry(ex)
	p.onThisHost(ex)
	p.reached(ex.Reached)
	for i, a := range ex.Advice {
		if i >= 3 && !st.Verbose {
			p.line(fmt.Sprintf("(%d more services are met there; see them with -v)", len(ex.Advice)-i))
			break
		}
		p.advice(a)
	}
	return p.err
}

func (p *auditPage) registry(ex *Explanation) {
	if len(ex.Entries) == 0 {
		p.lines(wrap(Escape(ex.Topic)+": no service is registered for it.", p.st.Width, 0))
	}
	for i, e := range ex.Entries {
		if i == 12 && !p.st.Verbose {
			p.line(fmt.Sprintf("… %d more entries (-v)", len(ex.Entries)-i))
			break
		}
		name := e.Name
		if len(e.Names) > 1 {
			name = strings.Join(e.Names, ", ")
		}
		p.lines(hang(dash(Escape(name))+": "+Escape(e.Description), p.st.Width, 0, p.st.paint(bold, portText(e.Port, e.Proto))+"  "))
	}
	if ex.Reserved != "" {
		p.lines(wrap(sentence(ex.Reserved), p.st.Width, 0))
	}
}

func (p *auditPage) advice(a *knowledge.Advice) {
	p.line("")
	head := p.st.paint(bold, a.ID) + "  " + kindsText(a.Kinds)
	p.line(head)
	p.lines(hang(sentence(a.What), p.st.Width, 2, ""))
	p.lines(hang(strings.TrimSuffix(a.Who, ".")+".", p.st.Width, 2, label("Run by")))
	p.labelled("May be safe", a.Safe)
	p.labelled("Not safe", a.Unsafe)
	p.labelled("Closing breaks", []string{a.Breaks})
	if a.Protected {
		p.labelled("PROTECTED", []string{"do not close: " + a.ProtectedWhy})
		return
	}
	p.closing(a)
}

func kindsText(kinds []knowledge.Kind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return "(" + strings.Join(out, ", ") + ")"
}

func label(s string) string { return fmt.Sprintf("%-16s", s+":") }

func (p *auditPage) labelled(name string, texts []string) {
	texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
	for i, t := range texts {
		mark := label(name)
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		p.lines(hang(sentence(t), p.st.Width, 2, mark))
	}
}

// closing shows how the service is closed: this system first, others with -v.
func (p *auditPage) closing(a *knowledge.Advice) {
	p.line("  To close it:")
	for _, s := range a.Close.Loopback {
		p.step("loopback only: in "+s.File, s.Set)
		if s.Check != "" {
			p.step("then check", s.Check)
		}
	}
	for _, c := range a.Close.Systemctl() {
		on := "systemd"
		if c.On != "" {
			on += ", " + c.On
		}
		p.step(on, c.Line)
	}
	if len(a.Close.Inetd) > 0 {
		p.prose("inetd, xinetd: comment out or disable " + strings.Join(a.Close.Inetd, ", "))
	}
	for _, o := range a.Close.Other {
		p.prose(o)
	}
	p.otherSystems(a)
}

func (p *auditPage) otherSystems(a *knowledge.Advice) {
	if n := len(a.Close.AIX) + len(a.Close.Windows) + len(a.Close.MacOS); n > 0 && !p.st.Verbose {
		p.line("    " + p.st.paint(dim, "(AIX, Windows, macOS with -v)"))
		return
	}
	for _, c := range a.Close.AIX {
		p.step("AIX", c)
	}
	for _, c := range a.Close.Windows {
		p.step("Windows", c)
	}
	for _, c := range a.Close.MacOS {
		p.step("macOS", c)
	}
}

// step prints what to type whole, beside its label where both fit: it is
// copied.
func (p *auditPage) step(on, cmd string) {
	head := "    " + Escape(on) + ":"
	cmd = p.st.paint(bold, Escape(cmd))
	if p.st.Width > 0 && runewidth.StringWidth(head)+runewidth.StringWidth(cmd)+1 > p.st.Width {
		p.line(head)
		p.line("      " + cmd)
		return
	}
	p.line(head + " " + cmd)
}

func (p *auditPage) prose(text string) {
	p.lines(hang(sentence(text), p.st.Width, 4, "- "))
}

func (p *auditPage) onThisHost(ex *Explanation) {
	p.line("")
	if len(ex.Endpoints) == 0 {
		p.line(p.st.paint(bold, "On this host: nothing has it."))
		return
	}
	p.line(p.st.paint(bold, "On this host"))
	for _, c := range p.concerns() {
		p.concern(c)
	}
	p.table()
}

// reached says who used the ports in the past.
func (p *auditPage) reached(list []Reached) {
	for _, r := range list {
		text := fmt.Sprintf("nobody in %s that was watched", timeSpan(time.Duration(r.WatchedSeconds*float64(time.Second))))
		if r.Clients > 0 {
			var names []string
			for _, a := range r.Addrs[:min(len(r.Addrs), namedClients)] {
				names = append(names, a.String())
			}
			if more := r.Clients - len(names); more > 0 {
				names = append(names, fmt.Sprintf("%d more", more))
			}
			text = count(r.Clients, "client", "clients") + ", last " + local(*r.Last) + ": " + strings.Join(names, ", ")
		}
		p.lines(hang(text+" (portreeve history "+portText(r.Port, r.Proto)+")", p.st.Width, 0, "Reached, "+portText(r.Port, r.Proto)+": "))
	}
}
