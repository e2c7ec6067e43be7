package cli

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/report"
)

// whoReached adds who used the ports by the history. Without one there is
// nothing to add; one that cannot be read is a gap.
func (ex *explanation) whoReached(ctx context.Context) {
	store, err := openHistory(ctx, true)
	if err == nil {
		defer store.Close()
		err = ex.readReached(ctx, store)
	}
	if err != nil && !errors.Is(err, history.ErrNone) && !errors.Is(err, history.ErrUnsupported) {
		ex.Incomplete = append(ex.Incomplete, exposure.Gap{View: "history", Why: err.Error()})
	}
}

// readReached leaves out ports of which nothing is known: neither used, nor
// open here and watched.
func (ex *explanation) readReached(ctx context.Context, store *history.Store) error {
	for _, t := range ex.Ports {
		st, err := store.Port(ctx, t.Proto, t.Port, time.Time{}, time.Now())
		if err != nil {
			return err
		}
		if st.ClientCount == 0 && (st.Usage.Watched == 0 || !ex.open(t)) {
			continue
		}
		r := report.Reached{TopicPort: t, Clients: st.ClientCount, Addrs: []netip.Addr{}, WatchedSeconds: st.Usage.Watched.Seconds()}
		for _, c := range st.Clients {
			r.Addrs = append(r.Addrs, c.Addr)
		}
		if len(st.Clients) > 0 {
			r.Last = &st.Clients[0].Last
		}
		ex.Reached = append(ex.Reached, r)
	}
	return nil
}

func (ex *explanation) open(t report.TopicPort) bool {
	for i := range ex.Endpoints {
		if ex.Endpoints[i].Proto == t.Proto && ex.Endpoints[i].Port == t.Port {
			return true
		}
	}
	return false
}
