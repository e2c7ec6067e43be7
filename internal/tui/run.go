package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// Options say how the view is to look and whom it may ask.
type Options struct {
	In  io.Reader
	Out io.Writer
	// Width and Height are the screen's where Out is no terminal that tells.
	Width, Height int
	// Environ is the terminal's environment, as os.Environ gives it: TERM and
	// what tells of colours is looked for there.
	Environ []string
	Color   bool
	ASCII   bool           // for terminals without UTF-8
	Zone    *time.Location // of times on the screen; nil: UTC

	Interval time.Duration // between two reads; 0: one second
	Title    string        // begins the first line
	Filter   string        // the capture filter, to be shown

	// Owner names the process of this host that has a flow, or "". It may be
	// slow, runs beside all else, one call at a time, and ends soon after its
	// context. nil: nobody knows.
	Owner func(context.Context, *flow.Flow) string
	// Service names a port; "" where it has no name. It is quick.
	Service func(proto uint8, port uint16) string
}

func (o *Options) interval() time.Duration {
	if o.Interval <= 0 {
		return time.Second
	}
	return max(o.Interval, 100*time.Millisecond)
}

func (o *Options) zone() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

// ErrBroken is in the error of a Run that a programming error ended; the rest
// of its text says where.
var ErrBroken = errors.New("the live view failed")

// Run shows the view until the person quits (nil), the context ends (its
// cause) or something fails. When it returns, the terminal is as it was, and
// nobody reads the feed any more.
func Run(ctx context.Context, feed Feed, o Options) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &screen{model: newModel(&o)}
	s.engine = newEngine(feed, &o, s.model.want())
	p := tea.NewProgram(s, s.options(&o)...)
	s.end = p.Quit

	var work sync.WaitGroup
	work.Go(func() { s.engine.run(within, p.Send) })
	work.Go(func() { s.engine.owners.run(within, p.Send) })
	work.Go(func() { // not by tea.WithContext: that leaves the keyboard's reader behind
		<-within.Done()
		p.Quit()
	})
	_, err := p.Run()
	cancel()
	work.Wait()
	switch {
	case s.model.broken != nil:
		return fmt.Errorf("%w: %w", ErrBroken, s.model.broken)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// options hand the terminal over. Signals stay with the caller's context.
func (s *screen) options(o *Options) []tea.ProgramOption {
	const frames = 20 // a second at most: enough for an eye, easy on a line
	environ := o.Environ
	if o.Color {
		environ = without(environ, "NO_COLOR") // Color has the last word
	}
	return []tea.ProgramOption{
		tea.WithInput(o.In), tea.WithOutput(o.Out),
		tea.WithEnvironment(append([]string{}, environ...)),
		tea.WithWindowSize(o.Width, o.Height), tea.WithFPS(frames), tea.WithoutSignalHandler(),
	}
}

func without(environ []string, name string) []string {
	var kept []string
	for _, e := range environ {
		if !strings.HasPrefix(e, name+"=") {
			kept = append(kept, e)
		}
	}
	return kept
}

// screen joins the model to the terminal and to the engine. A failure in
// either of the model's two functions ends the program in the usual way, so
// that the terminal is restored.
type screen struct {
	model  model
	engine *engine
	asked  want
	end    func()
}

// Init asks for nothing: the engine sends the first page by itself.
func (s *screen) Init() tea.Cmd {
	s.asked = s.model.want()
	return nil
}

// Update hands a message to the model and its wishes to the engine.
func (s *screen) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			s.fail(r)
			cmd = tea.Quit
		}
	}()
	s.model = s.model.update(msg)
	if w := s.model.want(); w != s.asked {
		s.asked = w
		s.engine.ask(w)
	}
	switch {
	case s.model.quit:
		return s, tea.Quit
	case s.model.suspend:
		return s, tea.Suspend
	case s.model.redraw:
		return s, tea.ClearScreen
	}
	return s, nil
}

// View draws the model. Mouse reports stay off, so that text can be selected.
func (s *screen) View() (v tea.View) {
	v.AltScreen = true
	if s.model.broken != nil {
		return v
	}
	defer func() {
		if r := recover(); r != nil {
			s.fail(r)
			go s.end()
		}
	}()
	v.SetContent(strings.Join(s.model.frame(), "\n"))
	return v
}

func (s *screen) fail(r any) {
	s.model.broken = fmt.Errorf("%v\n%s", r, debug.Stack())
}
