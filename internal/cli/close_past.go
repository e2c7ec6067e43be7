package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/remedy/closing"
)

// pastWindow is how far back the history is asked for clients.
const pastWindow = 30 * 24 * time.Hour

// pastClients tells who used the ports by the history; a history that cannot
// be read is said, and the plan goes without it.
func pastClients(ctx context.Context, s *streams, ports []closing.Port) []exposure.Usage {
	store, err := openHistory(ctx, true)
	if err == nil {
		defer store.Close()
		var out []exposure.Usage
		if out, err = readClients(ctx, store, ports); err == nil {
			return out
		}
	}
	if !errors.Is(err, history.ErrNone) && !errors.Is(err, history.ErrUnsupported) {
		fmt.Fprintf(s.err, "note: the history could not be asked who uses it: %v\n", err)
	}
	return nil
}

func readClients(ctx context.Context, store *history.Store, ports []closing.Port) (out []exposure.Usage, err error) {
	now := time.Now()
	for _, p := range ports {
		protos := []exposure.Proto{p.Proto}
		if p.Proto == "" {
			protos = []exposure.Proto{exposure.TCP, exposure.UDP}
		}
		for _, proto := range protos {
			st, err := store.Port(ctx, proto, p.Port, now.Add(-pastWindow), now)
			if err != nil {
				return nil, err
			}
			u := exposure.Usage{Endpoint: exposure.Endpoint{Proto: proto, Port: p.Port}, Count: st.ClientCount}
			for _, c := range st.Clients {
				if c.Addr.IsValid() {
					u.Clients = append(u.Clients, c.Addr)
				}
			}
			if len(u.Clients) > 0 {
				out = append(out, u)
			}
		}
	}
	return out, nil
}
