package connect

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Why a sweep ends early.
var (
	errInterrupted = errors.New("the scan was interrupted")
	errNoWay       = errors.New("no probe could be sent any longer (is the interface down, or the route gone?)")
)

// shrink takes the window back to what this host had means for.
func (c *crawl) shrink(why error, had int) {
	c.lack = why
	c.window = max(1, min(c.window, had))
}

// regrow widens it again, slowly, as answers come.
func (c *crawl) regrow() {
	if c.window < c.limit && c.stats.Sent%16 == 0 {
		c.window++
	}
}

// hardship says how long to wait for means. What is pending will free its own;
// waiting without any is bounded, and ends the host where only its source
// address or port is lacking, else the sweep.
func (c *crawl) hardship() time.Duration {
	if len(c.pending) > 0 {
		return lookEvery
	}
	if c.waited += hardshipPause; c.waited < patienceOwn {
		return hardshipPause
	}
	if errors.Is(c.lack, unix.EADDRNOTAVAIL) {
		c.waited = 0
		if j, ok := c.held.pop(); ok {
			j.host.gone = c.lack
			c.lose(j)
		}
		return 0
	}
	c.stop = c.lack
	return 0
}

// lose takes back a job that cannot be done.
func (c *crawl) lose(j job) {
	if j.canary {
		j.host.refs--
		return
	}
	c.skip(j)
}

// skip leaves a probe of the work out for its host's sake.
func (c *crawl) skip(j job) {
	c.gone.skip(j.host)
	j.host.refs--
	c.done++
	if c.failures++; c.failures >= hopeless && c.stop == nil {
		c.stop = errNoWay
	}
}

// goneHosts are the hosts of which ports were left out.
type goneHosts struct {
	named []*host
	more  uint64 // ports of others
}

func (g *goneHosts) skip(h *host) {
	if h.skipped == 0 && len(g.named) < namedHosts {
		g.named = append(g.named, h)
		h.named = true
	}
	h.skipped++
	if !h.named {
		g.more++
	}
}

// gaps says what was not settled and why.
func (c *crawl) gaps() []exposure.Gap {
	var out []exposure.Gap
	gap := func(format string, args ...any) {
		out = append(out, exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)})
	}
	if c.stop != nil {
		gap("%d of %d probes were not settled: %v", c.work.Len()-c.told, c.work.Len(), c.stop)
	}
	for _, h := range c.gone.named {
		gap("%d ports of %s were not settled: %v", h.skipped, h.addr, h.gone)
	}
	if c.gone.more > 0 {
		gap("%d ports of further hosts were not settled: no way to them, or they fell silent", c.gone.more)
	}
	return out
}
