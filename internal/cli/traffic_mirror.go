package cli

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/mirror"
)

// mirrorListen is long enough for quiet networks to say something, and short
// enough to wait for.
const mirrorListen = 10 * time.Second

func newCheckMirror(s *streams) *cobra.Command {
	var f trafficFlags
	var name string
	cmd := &cobra.Command{
		Use:   "check-mirror",
		Short: "Is this interface really fed by a mirror port?",
		Long: `Listens and says whether a switch copies other machines' traffic to this
interface: frames neither from nor to this host, both directions of
conversations, VLAN tags, packets copied twice, drops. It sends nothing.`,
		Example: `  portreeve traffic check-mirror -i eth1
  portreeve traffic check-mirror -i eth1 --duration 1m --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return usage("name the interface that the switch feeds: -i IFACE", "no interface was named")
			}
			f.ifaces = []string{name}
			return checkMirror(cmd.Context(), s, &f)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&name, "interface", "i", "", "the interface to listen on")
	fl.DurationVar(&f.duration, "duration", mirrorListen, "listen for this long")
	fl.BoolVar(&f.json, "json", false, "one JSON document (portreeve.mirror/1)")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "all counts")
	return cmd
}

func checkMirror(ctx context.Context, s *streams, f *trafficFlags) error {
	if f.duration <= 0 {
		return usage("write it as in --duration 30s", "--duration %s is no time to listen for", f.duration)
	}
	addrs, macs := ownEnds()
	src, err := f.listen(nil)
	if err != nil {
		return err
	}
	judge := &mirrorSink{mirror.New(addrs, macs)}
	runCtx, cancel := f.until(ctx)
	defer cancel()
	begun := time.Now()
	// The outermost packet tells where a frame was going; ERSPAN is opened by
	// the judge itself.
	gaps, err := incomplete(traffic.Run(runCtx, src.rings, traffic.Options{}, judge))
	if err != nil {
		return err
	}
	r := judge.Verdict(mirror.Port{Name: f.ifaces[0], Carrier: carrierOf(f.ifaces[0]), Promiscuous: true, Listened: time.Since(begun), Stats: src.stats()})
	return s.finish(f.tellMirror(s, &r, gaps), gaps)
}

func (f *trafficFlags) tellMirror(s *streams, r *mirror.Result, gaps []exposure.Gap) error {
	if f.json {
		return report.MirrorJSON(s.out, hostname(), f.ifaces[0], r, gaps)
	}
	return report.MirrorText(s.out, f.ifaces[0], r, s.style(f.verbose))
}

type mirrorSink struct{ *mirror.Judge }

func (m *mirrorSink) Take(items traffic.Items) error {
	for i := range items.Captured {
		m.Add(&items.Decoded[i], &items.Captured[i])
	}
	return nil
}

// ownEnds are this host's addresses, IP and hardware.
func ownEnds() (addrs []netip.Addr, macs [][6]byte) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, nil
	}
	for _, i := range ifaces {
		if len(i.HardwareAddr) == 6 {
			macs = append(macs, [6]byte(i.HardwareAddr))
		}
		own, _ := i.Addrs()
		for _, a := range own {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				addrs = append(addrs, p.Addr().Unmap())
			}
		}
	}
	return addrs, macs
}

// carrierOf tells whether an interface has a link, as far as the system says.
func carrierOf(name string) mirror.Carrier {
	i, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return mirror.CarrierUnknown
	case i.Flags&net.FlagRunning == 0:
		return mirror.NoCarrier
	}
	return mirror.HasCarrier
}
