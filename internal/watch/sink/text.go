package sink

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/report"
)

// Text writes a notice as one line for people, escaped, without a newline:
//
//	high: tcp/0.0.0.0:5432 opened by postgres[812] (postgresql.service): reachable by strangers
func Text(n *Notice) string {
	var b strings.Builder
	if n.Finding != nil {
		b.WriteString(string(n.Finding.Severity) + ": ")
	}
	fmt.Fprintf(&b, "%s %s", n.Endpoint, kindWords(n.Kind))
	if who := holder(n.socket()); who != "" {
		b.WriteString(" by " + who)
	}
	if n.Kind == drift.ScopeChanged && n.Before != nil {
		b.WriteString(", before at " + n.Before.Endpoint().String())
	}
	if n.Kind == drift.OwnerChanged && n.Before != nil {
		b.WriteString(", before " + holder(n.Before))
	}
	b.WriteString(remarks(n))
	return report.Escape(b.String())
}

func kindWords(k drift.Kind) string {
	switch k {
	case drift.OwnerChanged:
		return "taken over"
	case drift.ScopeChanged:
		return "bound elsewhere"
	case "":
		return "noticed"
	}
	return string(k)
}

// holder names who has a socket: process, user, unit, container, else the
// kernel.
func holder(s *exposure.Socket) string {
	var parts []string
	switch {
	case len(s.Processes) > 0:
		p := &s.Processes[0]
		name := fmt.Sprintf("%s[%d]", p.Name, p.PID)
		if p.User != "" {
			name += " as " + p.User
		}
		parts = append(parts, name)
	case s.Kernel != nil:
		parts = append(parts, "the kernel ("+s.Kernel.User+")")
	}
	if s.Unit != "" {
		parts = append(parts, "unit "+s.Unit)
	}
	if s.Container != nil {
		parts = append(parts, "container "+s.Container.Name)
	}
	return strings.Join(parts, ", ")
}

func remarks(n *Notice) (text string) {
	if n.Finding != nil {
		text = ": " + n.Finding.Rule + ": " + n.Finding.Title
		if n.Resolved {
			text += " (over)"
		}
	}
	if n.Repeats > 0 {
		text += fmt.Sprintf("; %d more changes held back", n.Repeats)
	}
	if n.Maintenance != "" {
		text += "; maintenance " + n.Maintenance
	}
	return text
}

// NewText is a sink that writes lines for people, with the time.
func NewText(w io.Writer) Sink {
	return &writerSink{w: w, format: func(n *Notice) ([]byte, error) {
		return []byte(n.At.UTC().Format(time.RFC3339) + " " + Text(n) + "\n"), nil
	}}
}

// NewLines is a sink that writes JSON Lines; each is one write.
func NewLines(w io.Writer) Sink { return &writerSink{w: w, format: (*Notice).Line} }

// writerSink writes to a stream that was handed in and is not closed.
type writerSink struct {
	mu     sync.Mutex
	w      io.Writer
	format func(*Notice) ([]byte, error)
	cut    []byte // the rest of a line that was written in part
}

func (s *writerSink) Send(_ context.Context, n *Notice) error {
	line, err := s.format(n)
	if err != nil {
		return permanentf("write notice %s: %w", n.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cut) > 0 { // the same notice again: its line is finished
		line = s.cut
	}
	wrote, err := s.w.Write(line)
	if err != nil {
		s.cut = line[min(wrote, len(line)):]
		if wrote == len(line) || wrote == 0 && len(s.cut) == len(line) {
			s.cut = nil
		}
		return fmt.Errorf("write: %w", err)
	}
	s.cut = nil
	return nil
}

func (s *writerSink) Close(context.Context) error { return nil }
