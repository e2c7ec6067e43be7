package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/report"
	"golang.org/x/term"
)

// streams are where a command reads and writes, and how output looks.
type streams struct {
	in       io.Reader
	out, err io.Writer
	color    string
}

func (s *streams) check() error {
	switch s.color {
	case "auto", "always", "never":
		return nil
	}
	return usage("write --color auto, always or never", "--color %q is not known", s.color)
}

// style is how text looks on stdout. Output that no terminal shows is not cut.
func (s *streams) style(verbose bool) report.Style {
	st := report.Style{Verbose: verbose}
	tty := false
	if f, ok := s.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		tty = true
		st.Width = terminalWidth(f)
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		st.Width = n
	}
	st.Color = s.color == "always" || s.color == "auto" && tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return st
}

const narrowest = 40

func terminalWidth(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 {
		return 80
	}
	return max(w, narrowest)
}

// noteStyle is how notes on stderr look.
func (s *streams) noteStyle() report.Style {
	if f, ok := s.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return report.Style{Width: terminalWidth(f)}
	}
	return report.Style{}
}

// progress reports whether a progress line may be drawn on stderr.
func (s *streams) progress() bool {
	f, ok := s.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// finish turns a write error and gaps into the command's end: gaps go to
// stderr and give exit code 3.
func (s *streams) finish(written error, gaps []exposure.Gap) error {
	if written != nil {
		return writeError(written)
	}
	if len(gaps) == 0 {
		return nil
	}
	report.Gaps(s.err, gaps, s.noteStyle())
	return &exitError{code: exitPartial}
}

// writeError: a reader that went away (head, less) needs no words.
func writeError(err error) error {
	var said *exitError
	if errors.As(err, &said) {
		return err
	}
	if errors.Is(err, syscall.EPIPE) {
		return &exitError{code: exitPartial}
	}
	return &exitError{code: exitPartial, err: fmt.Errorf("write the result: %w", err), hint: "the output is not complete; free some space or write elsewhere, then run it again"}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
