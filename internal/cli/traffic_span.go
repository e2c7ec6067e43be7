package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/traffic/span"
)

type spanFlags struct {
	req       span.Request
	direction string
	json      bool
}

func newSpan(s *streams) *cobra.Command {
	var f spanFlags
	cmd := &cobra.Command{
		Use:   "span",
		Short: "The switch commands for a port monitor, with check and undo",
		Long: `Prints what to type on a switch so that it copies the traffic of some ports to
the one where you listen, how to check it, and how to take it back. It changes
nothing and talks to no switch. Known vendors: --vendor list`,
		Example: `  portreeve traffic span --vendor list
  portreeve traffic span --vendor cisco-ios --source Gi1/0/1 --source Gi1/0/2 --destination Gi1/0/24
  portreeve traffic span --vendor junos --source ge-0/0/1.0 --destination ge-0/0/10.0 --direction rx`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runSpan(s, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.req.Vendor, "vendor", "", "kind of switch; list shows them")
	fl.StringArrayVar(&f.req.Sources, "source", nil, "a port to watch (may repeat)")
	fl.StringVar(&f.req.Destination, "destination", "", "the port where you listen")
	fl.StringVar(&f.direction, "direction", string(span.Both), "both, rx (into the switch) or tx")
	fl.IntVar(&f.req.Session, "session", 0, "session number; 0 is the vendor's first")
	fl.IntSliceVar(&f.req.VLANs, "vlan", nil, "only these VLANs, or without --source: these VLANs whole")
	fl.BoolVar(&f.json, "json", false, "one JSON document (portreeve.span/1)")
	return cmd
}

func runSpan(s *streams, f *spanFlags) error {
	if f.req.Vendor == "list" || f.req.Vendor == "" && len(f.req.Sources) == 0 && f.req.Destination == "" {
		return report.SpanVendors(s.out, span.Vendors(), s.style(false))
	}
	f.req.Direction = span.Direction(strings.ToLower(f.direction))
	plan, err := span.Render(f.req)
	if err != nil {
		return spanError(err)
	}
	if f.json {
		return report.SpanJSON(s.out, f.req.Vendor, &plan)
	}
	return report.SpanText(s.out, &plan, s.style(false))
}

func spanError(err error) error {
	var e *span.RequestError
	if errors.As(err, &e) {
		return usage("see: portreeve traffic span --help, and --vendor list", "--%s", e.Error())
	}
	return err
}
