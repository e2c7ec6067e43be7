//go:build !aix

package tui

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"
)

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
	send := func(msg any) { p.Send(msg) }
	work.Go(func() { s.engine.run(within, send) })
	work.Go(func() { s.engine.owners.run(within, send) })
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
	s.model = s.model.update(translate(msg))
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

// translate gives the model's own names to what the terminal sends.
func translate(msg tea.Msg) any {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		return sizeMsg{msg.Width, msg.Height}
	case tea.KeyPressMsg:
		return keyMsg{name: msg.String(), text: msg.Text}
	case tea.PasteMsg:
		return pasteMsg(msg.Content)
	}
	return msg
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
