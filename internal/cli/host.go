package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/spf13/cobra"
)

type hostFlags struct {
	json, all, verbose bool
	netns              string
}

func newHost(s *streams) *cobra.Command {
	var f hostFlags
	cmd := &cobra.Command{
		Use:   "host",
		Short: "Who listens here: every listener with its owner",
		Long: `Lists every listening socket of this machine, in all network namespaces, one row
per service, with the process, unit, package, container or kernel part that
holds it. As root it sees every owner; without root it says whose it could not
see.`,
		Example: `  portreeve host                     listeners of all network namespaces
  portreeve host -v                  with program, user and package
  portreeve host --all --netns self  every socket of this namespace
  portreeve host --json | jq '.sockets[] | select(.scope=="any") | .port'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runHost(cmd.Context(), s, f) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.host/1)")
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "every socket: connections, raw and packet sockets too")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "program, user and package of each owner")
	cmd.Flags().StringVar(&f.netns, "netns", host.AllNetNS, "network namespaces: all, self, or a name under /run/netns")
	return cmd
}

func runHost(ctx context.Context, s *streams, f hostFlags) error {
	o := host.Options{All: f.all, NetNS: f.netns, Namer: knowledge.Open().Name}
	if f.all {
		return streamHost(ctx, s, f, o)
	}
	snap, err := new(host.Reader).Snapshot(ctx, o)
	if err != nil {
		return hostError(err)
	}
	if f.json {
		return s.finish(hostJSON(ctx, s, &f, &snap), snap.Gaps)
	}
	return s.finish(report.HostText(s.out, &snap, s.style(f.verbose)), snap.Gaps)
}

func hostJSON(ctx context.Context, s *streams, f *hostFlags, snap *exposure.Snapshot) error {
	out := f.document(ctx, s, snap.Taken)
	for i := range snap.Sockets {
		if err := out.Add(&snap.Sockets[i]); err != nil {
			return err
		}
	}
	return out.Close(snap.Gaps)
}

// document begins the JSON. Of another namespace than the own one the addresses
// are not known.
func (f *hostFlags) document(ctx context.Context, s *streams, taken time.Time) *report.HostStream {
	out := report.NewHostStream(s.out, hostname(), taken)
	if f.netns != host.AllNetNS && f.netns != host.SelfNetNS {
		return out
	}
	self, err := host.Self()
	addrs, noAddrs := host.Addresses(ctx)
	if err != nil || noAddrs != nil {
		return out
	}
	var own []exposure.OwnAddress
	for _, a := range addrs {
		own = append(own, a.Own())
	}
	out.Place(self, own)
	return out
}

// socketSink takes sockets as they come.
type socketSink interface {
	Add(*exposure.Socket) error
	Close(gaps []exposure.Gap) error
}

// textSink gives the text stream the sink's shape: gaps go to stderr.
type textSink struct{ *report.SocketStream }

func (t textSink) Close([]exposure.Gap) error { return t.SocketStream.Close() }

func streamHost(ctx context.Context, s *streams, f hostFlags, o host.Options) error {
	var sink socketSink
	if f.json {
		sink = f.document(ctx, s, time.Now())
	} else {
		self, err := host.Self()
		if err != nil {
			return hostError(err)
		}
		sink = textSink{report.NewSocketStream(s.out, self)}
	}
	var written error
	gaps, err := new(host.Reader).Stream(ctx, o, func(sock *exposure.Socket) error {
		written = sink.Add(sock)
		return written
	})
	if err != nil && written == nil && !errors.Is(err, context.Canceled) {
		return hostError(err)
	}
	if written == nil {
		written = sink.Close(gaps)
	}
	return s.finish(written, gaps)
}

func hostError(err error) error {
	hint := "run as root on Linux, or read another tool's listing"
	switch {
	case errors.Is(err, host.ErrNoNamespace):
		hint = "see the names with: ip netns list"
	case errors.Is(err, host.ErrUnsupported):
		hint = ""
	}
	return &exitError{code: exitUsage, err: fmt.Errorf("list sockets: %w", err), hint: hint}
}
