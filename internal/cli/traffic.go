package cli

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The ways in which traffic is told (--by).
const (
	byPort   = "port"
	byPair   = "pair"
	byFlow   = "flow"
	byPacket = "packet"
	byServer = "server"
)

// How live traffic is counted (--method).
const (
	methodAuto    = "auto"
	methodPackets = "packets"
	methodKernel  = "kernel"
)

type trafficFlags struct {
	read       string
	ifaces     []string
	by         string
	write      string
	duration   time.Duration
	count      uint64
	tunnels    string
	listeners  string
	method     string
	json       bool
	verbose    bool
	noPromisc  bool
	numeric    bool
	filterText string
}

func newTraffic(s *streams) *cobra.Command {
	var f trafficFlags
	cmd := &cobra.Command{
		Use:   "traffic [FILTER]",
		Short: "Who talks to whom: ports, pairs, flows, packets",
		Long: `Tells who really talks to which port: from a capture file, or live from the
interfaces. Who is client and who is server is told from the handshake, else
from the listeners of this host, else from the registry of ports, and each flow
says by which. Every answer says how good its evidence is.

FILTER is a pcap-filter(7) expression, as tcpdump has it; put it in quotes if
it has ! ( ) < > or & in it. Without any flag and on a terminal the live view
fills the screen.`,
		Example: `  portreeve traffic                              live, full screen
  portreeve traffic -i eth1 --duration 15m       the ports used, as a table
  portreeve traffic -r web.pcap --by flow        conversations of a capture
  portreeve traffic -i eth1 --by packet tcp port 80
  portreeve traffic -r web.pcap --by server      servers and what they speak
  portreeve traffic -r web.pcap.gz --json 'port 443 and not host 10.0.0.1'
  portreeve traffic check-mirror -i eth1         is this a mirror port?
  portreeve traffic span --vendor list           set up a mirror port`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.filterText = strings.Join(args, " ")
			return runTraffic(cmd.Context(), s, &f, cmd.Flags().NFlag() == 0)
		},
	}
	f.register(cmd)
	cmd.AddCommand(newCheckMirror(s), newSpan(s))
	return cmd
}

func (f *trafficFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.read, "read", "r", "", "read this capture (pcap, pcapng, compressed too; - is stdin)")
	fl.StringArrayVarP(&f.ifaces, "interface", "i", nil, "listen on this interface (may repeat; any is all of them)")
	fl.StringVar(&f.by, "by", byPort, "port, pair, server (with what speaks there), flow or packet")
	fl.StringVarP(&f.write, "write", "w", "", "write the selected packets to this file (- is stdout)")
	fl.DurationVar(&f.duration, "duration", 0, "listen for this long, as 30s or 15m")
	fl.Uint64VarP(&f.count, "count", "c", 0, "end after this many selected packets")
	fl.StringVar(&f.tunnels, "tunnels", "inner", "inner: look into tunnels; outer: do not")
	fl.StringVar(&f.listeners, "listeners", "", "who listens, for telling servers: a portreeve host --json document")
	fl.StringVar(&f.method, "method", methodAuto, "live: packets (look at each), kernel (count inside the kernel), auto")
	fl.BoolVar(&f.json, "json", false, "JSON: a document for ports and pairs, JSON Lines for flows and packets")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "all rows, and all that is known of each")
	fl.BoolVarP(&f.noPromisc, "no-promiscuous", "p", false, "only frames that this host would take anyway")
	fl.BoolVarP(&f.numeric, "numeric", "n", false, "addresses and ports as numbers (they always are)")
}

func runTraffic(ctx context.Context, s *streams, f *trafficFlags, bare bool) error {
	if err := f.check(); err != nil {
		return err
	}
	ampleMemory()
	if f.wantsScreen(s, bare) {
		return liveTraffic(ctx, s, f)
	}
	if f.read == "" && len(f.ifaces) == 0 {
		return usage("see: portreeve traffic --help", "nothing to read from: give -r FILE or -i IFACE (on a terminal, no flag at all gives the live view)")
	}
	sel, err := f.selection(ctx)
	if err != nil {
		return err
	}
	if f.inKernel() {
		done, err := kernelTraffic(ctx, s, f)
		if done {
			return err
		}
	}
	return packetTraffic(ctx, s, f, sel)
}

// wantsScreen: no flag, or only interfaces to listen on, and a terminal.
func (f *trafficFlags) wantsScreen(s *streams, bare bool) bool {
	if !s.screen() {
		return false
	}
	plain := trafficFlags{ifaces: f.ifaces, by: byPort, tunnels: f.tunnels, method: f.method, listeners: f.listeners, noPromisc: f.noPromisc, numeric: f.numeric, filterText: f.filterText}
	return bare || len(f.ifaces) > 0 && f.sameAs(&plain)
}

func (f *trafficFlags) sameAs(o *trafficFlags) bool {
	return f.read == o.read && f.by == o.by && f.write == o.write && f.duration == o.duration && f.count == o.count && f.json == o.json && f.verbose == o.verbose
}

func (f *trafficFlags) check() error {
	switch {
	case !slices.Contains([]string{byPort, byPair, byFlow, byPacket, byServer}, f.by):
		return usage("write --by port, pair, server, flow or packet", "--by %q is not known", f.by)
	case f.tunnels != "inner" && f.tunnels != "outer":
		return usage("write --tunnels inner or outer", "--tunnels %q is not known", f.tunnels)
	case !slices.Contains([]string{methodAuto, methodPackets, methodKernel}, f.method):
		return usage("write --method auto, packets or kernel", "--method %q is not known", f.method)
	case f.read != "" && len(f.ifaces) > 0:
		return usage("read a file or listen, one at a time", "both -r and -i were given")
	case f.duration < 0:
		return usage("write it as in --duration 30s", "--duration %s is negative", f.duration)
	case f.write == "-" && f.json:
		return usage("write the packets to a file: -w FILE", "both the packets and the JSON would go to stdout")
	}
	return f.checkKernel()
}

// checkKernel: counting in the kernel has no packets to show.
func (f *trafficFlags) checkKernel() error {
	if f.method != methodKernel || f.countable() {
		return nil
	}
	return usage("leave --method away", "--method kernel counts live ports and pairs: it has no packets for -r, -w, --count, a filter or --by %s", f.by)
}

// countable: nothing is asked for that needs a packet.
func (f *trafficFlags) countable() bool {
	return f.read == "" && f.write == "" && f.count == 0 && f.filterText == "" && (f.by == byPort || f.by == byPair)
}

func (f *trafficFlags) inKernel() bool {
	return f.method != methodPackets && f.countable()
}

// ampleMemory is for what keeps much for long (flows, rules, counts): the
// program's goal for memory, made for short listings, would have it collected
// again and again for nothing.
func ampleMemory() {
	debug.SetMemoryLimit(math.MaxInt64)
	debug.SetGCPercent(keptGarbage)
}

// enoughMemory is ampleMemory for what bounds itself: room for its largest
// views, and no more garbage than fits beside them.
func enoughMemory() {
	debug.SetMemoryLimit(viewsMemory)
	debug.SetGCPercent(keptGarbage)
}

// viewsMemory is what the views of logs may take, bytes.
const viewsMemory = 160 << 20

// keptGarbage is how much of what is kept may be garbage besides, percent.
const keptGarbage = 50

// sourceName is what a heading calls the source.
func (f *trafficFlags) sourceName() string {
	switch {
	case f.read == "-":
		return "standard input"
	case f.read != "":
		return f.read
	case len(f.ifaces) == 0:
		return "every interface"
	}
	return fmt.Sprint(strings.Join(f.ifaces, ", "))
}
