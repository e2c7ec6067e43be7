package cli

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/portreeve/portreeve/internal/watch/sdnotify"
)

// watchManager is the service manager, if there is one (sd_notify(3)), and the
// signals that it sends.
type watchManager struct {
	notify *sdnotify.Notifier
	inside bool // there is one
	every  time.Duration
	hup    chan os.Signal
	term   chan os.Signal
	begun  time.Time
}

func newWatchManager(say func(string)) *watchManager {
	socket := os.Getenv("NOTIFY_SOCKET")
	m := &watchManager{inside: socket != "", hup: make(chan os.Signal, 1), term: make(chan os.Signal, 1), begun: time.Now()}
	n, err := sdnotify.Dial(socket)
	if err != nil {
		say("the service manager cannot be told that the watch is ready: " + err.Error())
	}
	m.notify = n
	m.every = sdnotify.WatchdogEvery(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"), os.Getpid())
	signal.Notify(m.hup, syscall.SIGHUP)
	signal.Notify(m.term, syscall.SIGTERM)
	return m
}

// asked reports a stop by the service manager.
func (m *watchManager) asked() bool {
	if m == nil || !m.inside {
		return false
	}
	select {
	case <-m.term:
		return true
	case <-time.After(50 * time.Millisecond):
		return false
	}
}

func (m *watchManager) ready(text string) { _ = m.notify.Ready(text) }
func (m *watchManager) alive()            { _ = m.notify.Alive() }
func (m *watchManager) reloading()        { _ = m.notify.Status("reading the configuration again") }

func (m *watchManager) stopping() {
	if m == nil {
		return
	}
	_ = m.notify.Stopping()
	signal.Stop(m.hup)
}
