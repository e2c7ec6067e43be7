package cli

import (
	"errors"
	"slices"

	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/privilege"
	"github.com/portreeve/portreeve/internal/watch/sink"
)

// dropPrivileges gives up what the watch does not need from here on: events,
// sinks, history and the metrics' port are open by now.
func (w *watcher) dropPrivileges() error {
	var also []privilege.Also
	if slices.ContainsFunc(w.config.Sinks, func(c sink.Config) bool { return c.Kind == sink.Mail }) {
		also = append(also, privilege.KeepSetuid)
	}
	_, err := privilege.Drop(w.needed(), also...)
	if errors.Is(err, privilege.ErrUnsupported) {
		return nil // no capabilities, nothing to give up
	}
	if err != nil {
		return &exitError{code: exitRefused, err: err, hint: "nothing was watched: it would have gone on with more privileges than it needs"}
	}
	return nil
}

// needed are the capabilities for listings and owners, for other namespaces,
// and for audits by the clock.
func (w *watcher) needed() privilege.Set {
	keep := privilege.SetOf(privilege.SysPtrace, privilege.DACReadSearch, privilege.NetAdmin, privilege.BPF, privilege.Perfmon)
	for c := privilege.Capability(0); c < 64; c++ {
		if slices.Contains(w.stream.Capabilities(), c.String()) {
			keep |= privilege.SetOf(c)
		}
	}
	if w.f.netns != host.SelfNetNS {
		keep |= privilege.SetOf(privilege.SysAdmin)
	}
	if s := &w.config.Schedule; len(s.Audit) > 0 || len(s.Vantages) > 0 {
		keep |= privilege.SetOf(privilege.SysAdmin, privilege.NetRaw, privilege.NetBindService, privilege.Syslog)
	}
	return keep
}
