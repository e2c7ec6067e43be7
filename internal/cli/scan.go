package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/spf13/cobra"
)

type scanFlags struct {
	json, verbose, all           bool
	xml, grepable                string
	ports, method, shard, rate   string
	maxRate                      float64
	halfOpen                     int
	udpWait                      time.Duration
	tcp, udp, six                bool
	identify, os, noDiscovery    bool
	signatures                   []string
	fromAddr, iface              string
	lists, exclude, excludeLists []string
	policy, resume               string
	confirmScope, numeric        bool
	from                         []string
}

func newScan(s *streams) *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan TARGET…",
		Short: "What answers on other machines: ports, services, systems",
		Long: `Asks ports of other machines and says what answered, how that is known, and how
much was lost on the way. Targets are names, addresses, prefixes (10.0.0.0/24),
ranges (10.0.0.1-50) and files of them. Up to 8 addresses are asked every TCP
port, more are asked the well-known ones, unless -p says otherwise.

As root it sends raw SYN segments; without, it connects. It finds by itself how
fast the path is, asks again what was lost, and says how much was. It sends no
credentials and nothing malformed; docs/scan.md lists every byte.`,
		Example: `  portreeve scan web-01                          every TCP port of one host
  portreeve scan -p 22,80,443 10.0.0.0/24        three ports of a network
  portreeve scan --identify --os web-01          what speaks there, on what
  portreeve scan --udp -p 53,123,161 10.0.0.1    UDP
  portreeve scan --rate 2000 --resume s.state 10.0.0.0/16
  portreeve scan --json web-01 > v.json          for: portreeve audit --vantage
  portreeve scan --shard 3/16 -p all 10.0.0.0/20 one machine's share of a scan`,
		RunE: func(cmd *cobra.Command, args []string) error { return runScan(cmd.Context(), s, &f, args) },
	}
	f.register(cmd)
	return cmd
}

// usualUDPWait settles some twenty closed ports of a host that refuses once a
// second. Who asks more of them knows why and says how long.
const usualUDPWait = 15 * time.Second

func (f *scanFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.ports, "ports", "p", "", "ports: 22,80,1000-2000, T:22,U:53, a service name, or all")
	fl.BoolVar(&f.udp, "udp", false, "UDP instead of TCP (with --tcp: both)")
	fl.BoolVar(&f.tcp, "tcp", false, "TCP (the default; with --udp: both)")
	fl.BoolVarP(&f.six, "ipv6", "6", false, "of a name, take its IPv6 addresses")
	fl.StringVar(&f.method, "method", scan.Auto, "auto, syn (raw, needs root) or connect")
	fl.StringVar(&f.rate, "rate", "auto", "probes a second, kept; auto finds what the path carries")
	fl.Float64Var(&f.maxRate, "max-rate", 0, "with --rate auto: never more than this many a second (public targets: 5,000)")
	fl.IntVar(&f.halfOpen, "max-half-open", 0, "unanswered connections that gateways on the way may be left with (auto, beyond a gateway: 50,000)")
	fl.DurationVar(&f.udpWait, "udp-wait", usualUDPWait, "UDP: how long a host is waited for that limits its refusals (Linux sends one a second); 0 is to the end")
	fl.BoolVar(&f.identify, "identify", false, "recognise what speaks at each open port")
	fl.StringArrayVar(&f.signatures, "signatures", nil, "also use installed signatures: auto, an nmap-service-probes file, a recog folder (may repeat)")
	fl.BoolVar(&f.os, "os", false, "guess each host's operating system")
	fl.StringVar(&f.fromAddr, "from-addr", "", "source address")
	fl.StringVarP(&f.iface, "interface", "i", "", "outgoing interface")
	fl.BoolVarP(&f.noDiscovery, "no-discovery", "P", false, "-Pn: ask every target, without looking first whether it is up")
	fl.BoolVarP(&f.numeric, "numeric", "n", false, "no names of addresses (none are looked up anyway)")
	fl.StringArrayVar(&f.lists, "targets", nil, "-iL FILE: targets from a file (lists, or portreeve JSON; - is stdin)")
	fl.StringArrayVar(&f.exclude, "exclude", nil, "targets never asked, in the same forms (commas allowed)")
	fl.StringArrayVar(&f.excludeLists, "exclude-file", nil, "the same from a file")
	fl.StringVar(&f.policy, "policy", "", "policy file: owned: and never-scan: hold (docs/scan.md)")
	fl.BoolVar(&f.confirmScope, "confirm-scope", false, "yes, scan more than 1,024 public addresses that the policy does not list as owned")
	fl.StringVar(&f.shard, "shard", "", "K/N: only the K-th of N parts of the scan")
	fl.StringVar(&f.resume, "resume", "", "save the scan here as it runs, and go on from here")
	fl.StringArrayVar(&f.from, "from", nil, "read this result instead of scanning (nmap XML, portreeve JSON; several are merged)")
	fl.BoolVar(&f.all, "all-states", false, "list every port asked, closed and filtered too")
	fl.BoolVar(&f.json, "json", false, "one JSON document (portreeve.scan/1)")
	fl.StringVar(&f.xml, "xml", "", "nmap's XML to this file (- is stdout)")
	fl.StringVar(&f.grepable, "grepable", "", "nmap's grepable lines to this file (- is stdout)")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "hosts without open ports too, and all that is known of each")
}

// nmapSpelling turns what nmap's users type, and one-letter flags cannot say,
// into this command's flags.
func nmapSpelling(args []string) []string {
	if len(args) == 0 || args[0] != "scan" {
		return args
	}
	out := slices.Clone(args)
	for i, a := range out {
		switch {
		case a == "--":
			return out
		case a == "-Pn":
			out[i] = "--no-discovery"
		case a == "-iL":
			out[i] = "--targets"
		case strings.HasPrefix(a, "-iL"):
			out[i] = "--targets=" + a[3:]
		}
	}
	return out
}

func runScan(ctx context.Context, s *streams, f *scanFlags, args []string) error {
	if len(f.from) > 0 {
		return showScans(s, f, args)
	}
	req, err := f.request(ctx, s, args)
	if err != nil {
		return err
	}
	o, err := f.options(req)
	if err != nil {
		return err
	}
	bar := newScanProgress(s)
	o.Progress = bar.show
	runtime.GOMAXPROCS(runtime.NumCPU() + inKernel)
	res, err := scan.Survey(ctx, o)
	bar.clear()
	if err != nil {
		return scanError(err)
	}
	res.Gaps = append(req.gaps, res.Gaps...)
	name(&res.Scan)
	return f.print(s, req, &res)
}

// inKernel is how many threads of a scan sit in system calls nearly all the
// time. The scheduler counts them as busy for a while, so it gets room for the
// others: without, a scan of one host takes half as long again.
const inKernel = 4

// scanError: a scan that could not be made.
func scanError(err error) error {
	hint := "see: portreeve scan --help"
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "run it as root (CAP_NET_RAW), or with --method connect"
	case errors.Is(err, scan.ErrStateElse), errors.Is(err, scan.ErrState):
		hint = "give another file with --resume, or remove this one to begin anew"
	}
	return &exitError{code: exitUsage, err: err, hint: hint}
}

// options turns flags and a request into what the scan is told.
func (f *scanFlags) options(req *scanRequest) (scan.SurveyOptions, error) {
	o := scan.SurveyOptions{Targets: req.targets, TCP: req.TCP, UDP: req.UDP, Method: req.Method, Shard: req.Shard,
		NoDiscovery: req.NoDiscovery, Identify: req.Identify, OS: req.OS, AllStates: f.all, UDPWait: f.udpWait, Iface: req.Iface, Resume: req.state}
	var err error
	if o.Pace, err = f.pace(req); err != nil {
		return o, err
	}
	if o.From, err = parseFrom(req.FromAddr); err != nil {
		return o, err
	}
	if req.file != "" {
		o.Save = req.save
	}
	if len(f.signatures) > 0 {
		o.Limits.Signatures, err = openSignatures(f.signatures)
	}
	return o, err
}

// print writes the result in every form that was asked for.
func (f *scanFlags) print(s *streams, req *scanRequest, res *scan.Result) error {
	doc := req.document(res)
	files := []output{{f.xml, writeXML}, {f.grepable, writeGrepable}}
	var failed error // a file that cannot be written must not cost the result
	for _, o := range files {
		if err := o.write(s, doc); err != nil && failed == nil {
			failed = err
		}
	}
	notes(s, append(req.notes, res.Notes...))
	if err := f.printOut(s, req, res); failed == nil {
		failed = err
	}
	return failed
}

// printOut writes to stdout what was asked for.
func (f *scanFlags) printOut(s *streams, req *scanRequest, res *scan.Result) error {
	switch {
	case f.json:
		return s.finish(report.ScanJSON(s.out, hostname(), &res.Scan), res.Gaps)
	case f.xml == "-" || f.grepable == "-":
		return s.finish(nil, res.Gaps)
	}
	return s.finish(report.ScanText(s.out, &res.Scan, req.facts(res), s.style(f.verbose)), res.Gaps)
}

func notes(s *streams, list []string) {
	for _, n := range list {
		fmt.Fprintln(s.err, "note: "+report.Escape(n))
	}
}

// name gives ports that nothing was recognised at the name that their number
// has in the registry.
func name(sc *exposure.Scan) {
	type key struct {
		proto exposure.Proto
		port  uint16
	}
	book, known := openBook(), map[key]*exposure.Service{}
	for i := range sc.Hosts {
		for j := range sc.Hosts[i].Ports {
			p := &sc.Hosts[i].Ports[j]
			if p.Service != nil {
				continue
			}
			k := key{p.Proto, p.Port}
			service, ok := known[k]
			if !ok {
				if name := book.Name(p.Proto, p.Port); name != "" {
					service = &exposure.Service{Name: name, Via: "table"}
				}
				known[k] = service
			}
			p.Service = service
		}
	}
}

// scanProgress is one line on a terminal: what, how far, how fast, how much is
// lost, how long still.
type scanProgress struct {
	*progress
	stage string
	begun time.Time
	from  uint64
}

func newScanProgress(s *streams) *scanProgress { return &scanProgress{progress: newProgress(s)} }

func (p *scanProgress) show(at scan.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if at.Stage != p.stage {
		p.stage, p.begun, p.from = at.Stage, now, at.Done
	}
	if !p.on || now.Sub(p.last) < progressPace {
		return
	}
	p.last, p.drawn = now, true
	fmt.Fprint(p.s.err, "\r\x1b[K"+p.line(at, now.Sub(p.begun)))
}

func (p *scanProgress) line(at scan.Progress, took time.Duration) string {
	if at.Total == 0 {
		return at.Stage
	}
	line := fmt.Sprintf("%s: %3d %%", at.Stage, at.Done*100/at.Total)
	if rate := float64(at.Done-p.from) / took.Seconds(); took > time.Second/2 && at.Done > p.from {
		left := time.Duration(float64(at.Total-at.Done) / rate * float64(time.Second))
		line += fmt.Sprintf(", %.0f/s, %s left", rate, left.Round(time.Second))
	}
	if at.Loss >= 0.001 {
		line += fmt.Sprintf(", %.1f %% lost", at.Loss*100)
	}
	return line
}
