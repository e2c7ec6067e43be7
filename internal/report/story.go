package report

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Story is what is known of one port over time, newest first.
type Story struct {
	Proto      exposure.Proto
	Port       uint16
	Since, Now time.Time // Since zero: from the beginning
	KnownSince time.Time // zero: nothing was ever looked at
	Snapshots  int
	Lives      []Life
	Changes    []StoryChange
	Clients    []StoryClient
	Findings   []StoryFinding
	// Full numbers; OtherClients were too many to be kept one by one.
	ChangeCount, ClientCount, OtherClients int
	Usage, Listeners                       Watched
}

// Life is one listener from its opening to its end. Exact: it was seen to
// open; else it was found open.
type Life struct {
	Socket               *exposure.Socket
	Opened, Seen, Closed time.Time
	Exact, ExactEnd      bool
	Ended                string
}

// StoryChange is one change of the port.
type StoryChange struct {
	DriftRow
	At    time.Time
	Exact bool // else it had happened by then
}

// StoryClient is one that used the port.
type StoryClient struct {
	Addr           netip.Addr
	First, Last    time.Time
	Packets, Bytes uint64
	Connections    uint64
}

// StoryFinding is a finding that stands or stood.
type StoryFinding struct {
	Severity         exposure.Severity
	Title            string
	Opened, Resolved time.Time
}

// Watched is how much of a window was watched.
type Watched struct {
	From, To time.Time
	Watched  time.Duration
	Sources  []string
}

// Rows that are shown without -v.
const (
	shownLives   = 5
	shownChanges = 10
	shownClients = 10
)

// StoryText tells the story of a port: whether it is open and since when, its
// listeners, its changes, who used it.
func StoryText(w io.Writer, s *Story, st Style) error {
	p := &auditPage{w: w, st: st}
	for i, l := range wrap(s.headline(), st.Width, 0) {
		if i == 0 {
			l = st.paint(bold, l)
		}
		p.line(l)
	}
	p.lives(s)
	p.storyChanges(s)
	p.clients(s)
	p.storyFindings(s)
	p.watchedNotes(s)
	return p.err
}

// local is a time as people read it.
func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func (s *Story) headline() string {
	name := portText(s.Port, s.Proto)
	if len(s.Lives) == 0 {
		if s.KnownSince.IsZero() {
			return name + ": the history is empty."
		}
		return fmt.Sprintf("%s: no listener was ever seen%s; the history begins %s.", name, s.window(), local(s.KnownSince))
	}
	l := &s.Lives[0]
	if !l.Closed.IsZero() {
		return fmt.Sprintf("%s: closed since %s; it was %s.", name, local(l.Closed), lifeOwner(l))
	}
	how := "found open"
	if l.Exact {
		how = "opened"
	}
	return fmt.Sprintf("%s: open when last looked at (%s), %s %s by %s.", name, local(l.Seen), how, local(l.Opened), lifeOwner(l))
}

func (s *Story) window() string {
	if s.Since.IsZero() {
		return ""
	}
	return " since " + local(s.Since)
}

func lifeOwner(l *Life) string {
	if o := driftOwner(l.Socket); o != "?" {
		return o
	}
	return "somebody who was not seen"
}

func (p *auditPage) title(text string) {
	p.line("")
	p.line(p.st.paint(bold, text))
}

func (p *auditPage) lives(s *Story) {
	if len(s.Lives) == 0 {
		return
	}
	p.title("Listeners")
	var rows [][]string
	for i := range s.Lives[:p.most(len(s.Lives), shownLives)] {
		rows = append(rows, lifeCells(&s.Lives[i]))
	}
	p.storyTable([]column{{head: "OPENED"}, {head: "CLOSED"}, {head: "BOUND", min: 9}, {head: "BY", min: 15}}, rows)
	p.more(len(s.Lives)-len(rows), "listener", "listeners")
}

// byThen marks a time by which something had happened.
func byThen(t time.Time, exact bool) string {
	if exact {
		return local(t)
	}
	return "≤ " + local(t)
}

func lifeCells(l *Life) []string {
	opened, closed := byThen(l.Opened, l.Exact), "open "+local(l.Seen)
	if !l.Closed.IsZero() {
		closed = byThen(l.Closed, l.ExactEnd)
		if l.Ended != "" && l.Ended != "closed" {
			closed += " " + l.Ended
		}
	}
	sock := l.Socket
	return []string{opened, closed, boundText(sock.Addr, sock.Scope, sock.DualStack, sock.Device), driftOwner(sock)}
}

func (p *auditPage) storyChanges(s *Story) {
	if len(s.Changes) == 0 {
		return
	}
	p.title("Changes")
	var rows [][]string
	for i := range s.Changes[:p.most(len(s.Changes), shownChanges)] {
		c := &s.Changes[i]
		cells := driftCells(&c.DriftRow)
		rows = append(rows, []string{byThen(c.At, c.Exact), cells[0], cells[2], cells[3], cells[4]})
	}
	p.storyTable([]column{{head: "WHEN"}, {head: "KIND"}, {head: "BOUND", min: 9}, {head: "WAS", min: 12}, {head: "IS", min: 12}}, rows)
	p.more(s.ChangeCount-len(rows), "change", "changes")
}

func (p *auditPage) clients(s *Story) {
	if s.ClientCount+s.OtherClients == 0 {
		return
	}
	p.title("Used by " + clientCount(s))
	var rows [][]string
	for _, c := range s.Clients[:p.most(len(s.Clients), shownClients)] {
		rows = append(rows, []string{Escape(c.Addr.String()), local(c.First), local(c.Last), fmt.Sprint(c.Packets), fmt.Sprint(c.Bytes)})
	}
	p.storyTable([]column{{head: "CLIENT", min: 15}, {head: "FIRST"}, {head: "LAST"}, {head: "PACKETS"}, {head: "BYTES"}}, rows)
	p.more(s.ClientCount-len(rows), "client", "clients")
}

func clientCount(s *Story) string {
	out := count(s.ClientCount, "client", "clients")
	if s.OtherClients > 0 {
		out += fmt.Sprintf(", and others at times (%d at once), too many to keep each", s.OtherClients)
	}
	return out
}

func (p *auditPage) storyFindings(s *Story) {
	if len(s.Findings) == 0 {
		return
	}
	p.title("Findings")
	for _, f := range s.Findings[:p.most(len(s.Findings), shownChanges)] {
		until := "stands"
		if !f.Resolved.IsZero() {
			until = "resolved " + local(f.Resolved)
		}
		p.lines(hang(fmt.Sprintf("%s, since %s, %s", Escape(f.Title), local(f.Opened), until), p.st.Width, 2, string(f.Severity)+" "))
	}
}

// watchedNotes say what silence means.
func (p *auditPage) watchedNotes(s *Story) {
	p.line("")
	p.lines(wrap(s.usageNote(), p.st.Width, 0))
	if s.Listeners.Watched == 0 && !s.KnownSince.IsZero() {
		p.lines(wrap(fmt.Sprintf("Listeners were not watched%s, only looked at %s: what opened and closed in between is not known.",
			s.window(), count(s.Snapshots, "time", "times")), p.st.Width, 0))
	}
}

func (s *Story) usageNote() string {
	u := &s.Usage
	if u.Watched == 0 {
		return "Nobody watched who used it" + s.window() + ": that it has no clients here says nothing. Watch: portreeve watch"
	}
	from := u.From
	if !s.Since.IsZero() && s.Since.Before(from) {
		from = s.Since
	}
	whole := s.Now.Sub(from)
	return fmt.Sprintf("Usage was watched for %s of the %s since %s (%s).", timeSpan(u.Watched), timeSpan(whole), local(from), Escape(strings.Join(u.Sources, ", ")))
}

// timeSpan is a duration in the largest unit that shows it.
func timeSpan(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.0f seconds", d.Seconds())
}

func (p *auditPage) most(n, few int) int {
	if p.st.Verbose {
		return n
	}
	return min(n, few)
}

func (p *auditPage) storyTable(cols []column, rows [][]string) {
	if p.err == nil {
		p.err = writeTable(p.w, p.st, cols, rows)
	}
}

func (p *auditPage) more(n int, one, many string) {
	if n > 0 {
		p.line(p.st.paint(dim, "… and "+count(n, one, many)+" more (-v, --json)"))
	}
}
