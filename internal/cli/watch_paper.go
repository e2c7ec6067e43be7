package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/watch"
)

// watchPaper prints changes on stdout, each line at once.
type watchPaper struct {
	out  io.Writer
	json bool
}

func newWatchPaper(s *streams, json bool) *watchPaper { return &watchPaper{s.out, json} }

func (p *watchPaper) print(t *watch.Told) error {
	line, err := p.line(t)
	if err == nil {
		_, err = p.out.Write(line)
	}
	return err
}

func (p *watchPaper) line(t *watch.Told) ([]byte, error) {
	if !p.json {
		return []byte(watchText(t) + "\n"), nil
	}
	var line bytes.Buffer
	err := report.JSONLine(&line, t)
	return line.Bytes(), err
}

// watchText is one line for people, its time in UTC.
func watchText(t *watch.Told) string {
	s := t.Socket()
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-13s  %-28s  %s", t.At.UTC().Format("2006-01-02 15:04:05.000Z"), t.Kind, t.Endpoint, watchOwner(s))
	if before := t.Before; before != nil && t.After != nil {
		switch t.Kind {
		case drift.ScopeChanged:
			fmt.Fprintf(&b, "  (was %s)", before.Endpoint())
		default:
			fmt.Fprintf(&b, "  (was %s)", watchOwner(before))
		}
	}
	if s.Service != "" {
		fmt.Fprintf(&b, "  %s", report.Escape(s.Service))
	}
	if s.NetNS.Name != "" {
		fmt.Fprintf(&b, "  netns %s", report.Escape(s.NetNS.Name))
	}
	if t.Maintenance != "" {
		fmt.Fprintf(&b, "  [maintenance: %s]", report.Escape(t.Maintenance))
	}
	return b.String()
}

// watchOwner says who holds it: process, program, unit, package.
func watchOwner(s *exposure.Socket) string {
	switch {
	case s.Kernel != nil:
		return "kernel: " + report.Escape(s.Kernel.User)
	case len(s.Processes) == 0 && s.OwnerUnknown != "":
		return "owner not known (" + report.Escape(s.OwnerUnknown) + ")"
	case len(s.Processes) == 0:
		return "owner not known"
	}
	p := s.Processes[0]
	out := fmt.Sprintf("%s[%d]", report.Escape(p.Name), p.PID)
	if n := len(s.Processes) - 1; n > 0 {
		out += fmt.Sprintf(" and %d more", n)
	}
	for _, more := range []struct{ word, text string }{{"", p.Exe}, {"unit ", s.Unit}, {"package ", s.Package}} {
		if more.text != "" {
			out += "  " + more.word + report.Escape(more.text)
		}
	}
	if s.Container != nil {
		out += "  container " + report.Escape(orName(s.Container.Name, s.Container.ID))
	}
	return out
}

func orName(name, or string) string {
	if name == "" {
		return or
	}
	return name
}

// watchSays prints notes on stderr, one at a time, and the same note at most
// once a minute.
type watchSays struct {
	mu   sync.Mutex
	out  io.Writer
	last map[string]time.Time
}

func (n *watchSays) say(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if t, ok := n.last[text]; ok && now.Sub(t) < time.Minute {
		return
	}
	if n.last == nil || len(n.last) > 256 {
		n.last = map[string]time.Time{}
	}
	n.last[text] = now
	fmt.Fprintln(n.out, "portreeve watch: "+report.Escape(text))
}
