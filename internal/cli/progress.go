package cli

import (
	"fmt"
	"sync"
	"time"
)

// progress draws one line on a terminal's stderr and wipes it at the end.
type progress struct {
	s     *streams
	on    bool
	mu    sync.Mutex
	drawn bool
	last  time.Time
}

const progressPace = 100 * time.Millisecond

func newProgress(s *streams) *progress {
	return &progress{s: s, on: s.progress(), last: time.Now()}
}

// show is called by the scan with probes done and in all.
func (p *progress) show(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on || total == 0 || time.Since(p.last) < progressPace {
		return
	}
	p.last, p.drawn = time.Now(), true
	fmt.Fprintf(p.s.err, "\rasking every port: %3d %%", done*100/total)
}

// say draws other words.
func (p *progress) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on {
		return
	}
	p.drawn = true
	fmt.Fprint(p.s.err, "\r\x1b[K"+text)
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.s.err, "\r\x1b[K")
	}
}
