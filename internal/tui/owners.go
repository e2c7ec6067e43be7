package tui

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

const (
	// maxOwners is how many answers are kept.
	maxOwners = 1 << 13
	// lookups is how many flows are asked about at once.
	lookups = 64
	// patience is after how many wishes a flow without an owner is asked
	// about again: its socket may come to be known.
	patience = 5
)

// owners asks whose flows are, beside everything else.
type owners struct {
	ask   func(context.Context, *flow.Flow) string
	found chan map[rowID]string // answers, to the engine

	// The engine's own.
	known map[rowID]string
	empty map[rowID]int // how often nobody was found

	mu     sync.Mutex // guards wished and busy
	wished []flow.Flow
	busy   bool // with a list: no other is taken meanwhile
	wake   chan struct{}
}

func newOwners(ask func(context.Context, *flow.Flow) string) *owners {
	return &owners{ask: ask, found: make(chan map[rowID]string), known: map[rowID]string{},
		empty: map[rowID]int{}, wake: make(chan struct{}, 1)}
}

// of gives what is known, or "".
func (o *owners) of(id rowID) string { return o.known[id] }

// wish asks for the owners of rows that are not known, from one row on.
func (o *owners) wish(rows []row, first int) {
	if o.ask == nil || len(rows) == 0 || rows[0].flow == nil || o.isBusy() {
		return
	}
	var list []flow.Flow
	for i := range rows {
		r := &rows[(max(first, 0)+i)%len(rows)]
		if len(list) == lookups {
			break
		}
		if o.wants(r.id) {
			list = append(list, *r.flow)
		}
	}
	if len(list) == 0 {
		return
	}
	o.mu.Lock()
	o.wished, o.busy = list, true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *owners) isBusy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy
}

// wants reports a flow to ask about: not known, or nobody's a while ago.
func (o *owners) wants(id rowID) bool {
	if o.known[id] != "" {
		return false
	}
	n, asked := o.empty[id]
	if asked {
		o.empty[id] = n + 1
	}
	return !asked || n%patience == patience-1
}

// store keeps answers; when there are too many it begins anew.
func (o *owners) store(found map[rowID]string) {
	if len(o.known)+len(o.empty)+len(found) > maxOwners {
		clear(o.known)
		clear(o.empty)
	}
	for id, name := range found {
		if name == "" {
			o.empty[id]++
			continue
		}
		o.known[id] = name
		delete(o.empty, id)
	}
}

// run answers wishes, one list after another, until the end of the context.
func (o *owners) run(ctx context.Context, send func(any)) {
	defer func() {
		if r := recover(); r != nil {
			send(brokenMsg{fmt.Errorf("%v\n%s", r, debug.Stack())})
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		o.mu.Lock()
		list := o.wished
		o.wished = nil
		o.mu.Unlock()
		for len(list) > 0 && ctx.Err() == nil {
			list = o.some(ctx, list)
		}
		o.mu.Lock()
		o.busy = false
		o.mu.Unlock()
	}
}

// some answers the first few of a list and gives the rest.
func (o *owners) some(ctx context.Context, list []flow.Flow) []flow.Flow {
	const few = 16
	found := map[rowID]string{}
	n := min(few, len(list))
	for i := range list[:n] {
		if ctx.Err() != nil {
			return nil
		}
		found[flowID(&list[i])] = clean(o.ask(ctx, &list[i]))
	}
	select {
	case o.found <- found:
	case <-ctx.Done():
	}
	return list[n:]
}
