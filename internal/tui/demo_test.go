//go:build !aix

package tui

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// demoVariable makes the test program show the view on its terminal instead of
// testing: "color", "plain" or "broken" (fails after two seconds).
const demoVariable = "PORTREEVE_TUI_DEMO"

// theatre is a feed that grows by the clock.
type theatre struct {
	mu     sync.Mutex
	stage  *fixture
	passed int
	broken bool
}

func (d *theatre) Read(visit func(*flow.Flow) bool) Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage.pass(d.passed)
	d.passed++
	if d.broken && d.passed > 8 {
		panic("the demo is to fail")
	}
	for i := range d.stage.flows {
		d.stage.flows[i].Last = time.Now().UnixNano()
	}
	return d.stage.Read(visit)
}

func demo(how string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	d := &theatre{stage: someTraffic(), broken: how == "broken"}
	d.stage.status.Since = time.Now()
	err := Run(ctx, d, Options{In: os.Stdin, Out: os.Stdout, Environ: os.Environ(), Color: how == "color",
		Interval: 250 * time.Millisecond, Title: "portreeve traffic", Service: someService,
		Owner: func(_ context.Context, f *flow.Flow) string { return fmt.Sprintf("process[%d]", f.ServerPort) }})
	fmt.Println("ended:", err != nil)
	return 0
}
