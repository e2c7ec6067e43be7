package audit

import (
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// The history says that nobody came only for the time that was watched, and
// not when this audit sees a client.
func TestPastDecidesUnused(t *testing.T) {
	srv := listener(13579, "app")
	at := exposure.Endpoint{Proto: srv.Proto, Addr: srv.Addr, Port: srv.Port}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		watched time.Duration
		use     exposure.Usage
		client  bool
		want    bool
	}{
		"a month":                 {30 * day, exposure.Usage{Endpoint: at}, false, true},
		"too little was watched":  {29 * day, exposure.Usage{Endpoint: at}, false, false},
		"somebody came":           {40 * day, exposure.Usage{Endpoint: at, Count: 1}, false, false},
		"more than were kept":     {40 * day, exposure.Usage{Endpoint: at, AtLeast: true}, false, false},
		"somebody is here now":    {40 * day, exposure.Usage{Endpoint: at}, true, false},
		"of it nothing was asked": {40 * day, exposure.Usage{Endpoint: exposure.Endpoint{Proto: at.Proto, Addr: at.Addr, Port: 1}}, false, false},
	} {
		in := hostWith(srv)
		in.Past = &exposure.Traffic{From: now.Add(-60 * day), To: now, Watched: c.watched, Source: "the history's watching", Usage: []exposure.Usage{c.use}}
		if c.client {
			in.Traffic = &exposure.Traffic{From: now, To: now, Usage: []exposure.Usage{{Endpoint: at, Count: 1}}}
		}
		rep := Judge(in)
		got := slices.ContainsFunc(rep.Findings, func(f exposure.Finding) bool { return f.Rule == "unused-listener" })
		if got != c.want {
			t.Errorf("%s: unused is %v, want %v", name, got, c.want)
		}
	}
}
