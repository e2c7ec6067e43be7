package tui

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// terminal is a real one: a window of a tmux server that is the test's own.
type terminal struct {
	t       *testing.T
	program string
	dir     string // of the server's socket
}

func openTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	dir, err := os.MkdirTemp("", "tui") // short: it is a socket's path
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, program: nettest.Need(t, "tmux"), dir: dir}
	t.Cleanup(func() {
		_ = term.command("kill-server").Run()
		_ = os.RemoveAll(dir)
	})
	term.tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "PS1='$ ' exec sh")
	term.tmux("set", "-g", "status", "off")
	term.tmux("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
	return term
}

func (term *terminal) command(args ...string) *exec.Cmd {
	cmd := exec.Command(term.program, args...)
	cmd.Env = append(os.Environ(), "TMUX_TMPDIR="+term.dir, "TMUX=")
	return cmd
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := term.command(args...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (term *terminal) keys(names ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, names...)...)
}

// demo starts the view and waits for its first figures.
func (term *terminal) demo(how string) {
	term.t.Helper()
	self, err := os.Executable()
	if err != nil {
		term.t.Fatal(err)
	}
	term.keys(demoVariable+"="+how+" "+self, "Enter")
	term.wait("tcp/443")
}

// wait gives the screen once it shows a text.
func (term *terminal) wait(text string) string {
	term.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		screen := term.tmux("capture-pane", "-p")
		if strings.Contains(screen, text) {
			return screen
		}
		if time.Now().After(end) {
			term.t.Fatalf("never shown: %q in\n%s", text, screen)
		}
	}
}

// modes tells of the alternate screen, the cursor and mouse reports.
func (term *terminal) modes() string {
	return strings.TrimSpace(term.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"))
}

// left wants the shell back as it was, its earlier words too, and the keyboard
// in its usual mode.
func (term *terminal) left(says string) {
	term.t.Helper()
	term.wait(says)
	if got := term.modes(); got != "0 1 0" {
		term.t.Errorf("alternate screen, cursor, mouse: %s, want 0 1 0", got)
	}
	term.keys("stty -a | grep -o -E ' (-?icanon|-?echo) ' | xargs echo modes", "Enter")
	if screen := term.wait("modes icanon echo"); !strings.Contains(screen, "before") {
		term.t.Errorf("what was there before is not:\n%s", screen)
	}
}

// TestTerminal looks at the view as a person does: at two sizes, through
// lists, filter, pane, pause and help, and out again by each way.
func TestTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		t.Run(dimensions(size), func(t *testing.T) {
			t.Parallel()
			term := openTerminal(t, size[0], size[1])
			term.keys("echo before", "Enter")
			term.demo("color")
			if got := term.modes(); got != "1 0 0" {
				t.Errorf("alternate screen, cursor, mouse: %s, want 1 0 0", got)
			}
			time.Sleep(time.Second) // for more than one bar
			for _, step := range []struct{ key, shows string }{
				{"Down", ">tcp/5432"}, {"Enter", "Flows of tcp/5432"}, {"Enter", "One flow"}, {"Escape", "Flows of tcp/5432"},
				{"Escape", "Ports by"}, {"2", "Pairs by rate"}, {"3", "Flows by rate"}, {"/", "enter keeps it"}, {"4444", "1-1 of 1"},
				{"Enter", "/ 4444"}, {"Enter", `ftp-data\x1b[31m of \u{202e}gnp.exe`}, {"Escape", "Flows by rate"}, {"Escape", "1-9 of 9"},
				{"?", "LISTS"}, {"?", "Flows by rate"}, {"e", "what the counts are worth"}, {"e", "Flows by rate"},
				{"Space", "PAUSED at"}, {"Space", "p pause"}, {"t", "BYTES"}, {"1", "TO B"},
			} {
				term.keys(step.key)
				look(t, term.wait(step.shows), size)
			}
			term.keys("q")
			term.left("ended: false")
		})
	}
}

// look checks what holds for any screen, and shows it under -v.
func look(t *testing.T, screen string, size [2]int) {
	t.Helper()
	t.Logf("\n%s", screen)
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	if len(lines) != size[1] || !strings.HasSuffix(strings.TrimRight(lines[len(lines)-1], " "), "q quit") && !strings.HasPrefix(lines[len(lines)-1], "/ ") {
		t.Errorf("%d lines of %d, or no keys at the bottom", len(lines), size[1])
	}
	for _, l := range lines {
		if otherWidth(l) > size[0] {
			t.Errorf("too wide: %q", l)
		}
	}
}

// TestTerminalLeft: however the view ends, the terminal is as it was.
func TestTerminalLeft(t *testing.T) {
	for _, end := range []struct {
		how  string
		says string
		do   func(*terminal)
	}{
		{"plain", "ended: false", func(term *terminal) { term.keys("C-c") }},
		{"broken", "ended: true", func(*terminal) {}},
		{"color", "ended: true", func(term *terminal) {
			term.tmux("run-shell", "kill -TERM $(ps -o pid= --ppid $(tmux -S "+term.socket()+" display-message -p '#{pane_pid}'))")
		}},
	} {
		t.Run(end.how, func(t *testing.T) {
			t.Parallel()
			term := openTerminal(t, 80, 24)
			term.keys("echo before", "Enter")
			term.demo(end.how)
			end.do(term)
			term.left(end.says)
		})
	}
}

func (term *terminal) socket() string {
	return strings.TrimSpace(term.tmux("display-message", "-p", "#{socket_path}"))
}

// TestTerminalResize: the view follows the terminal's size, says what it needs
// and comes back; it can be put aside and taken up again.
func TestTerminalResize(t *testing.T) {
	t.Parallel()
	term := openTerminal(t, 80, 24)
	term.keys("echo before", "Enter")
	term.demo("plain")
	for _, size := range [][2]int{{120, 40}, {39, 12}, {60, 15}, {80, 9}, {40, 10}, {80, 24}} {
		term.tmux("resize-window", "-x", fmt.Sprint(size[0]), "-y", fmt.Sprint(size[1]))
		if size[0] < leastWidth || size[1] < leastHeight {
			term.wait("More room is needed")
			continue
		}
		term.wait("q quit")
		time.Sleep(300 * time.Millisecond)
		look(t, term.wait("tcp/443"), size)
	}
	term.keys("C-z")
	term.wait("Stopped")
	term.keys("fg", "Enter")
	term.wait("Good evidence")
	term.keys("q")
	term.left("ended: false")
}
