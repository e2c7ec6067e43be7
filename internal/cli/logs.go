package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

type logFlags struct {
	files    []string
	format   string
	journal  bool
	follow   bool
	fresh    bool
	action   string
	by       string
	json     bool
	unparsed bool
	verbose  bool
	own      []string
	outside  []string
	zone     string
	width    time.Duration
	duration time.Duration

	want     fwlog.Action
	location *time.Location
	networks []netip.Prefix
}

func newLogs(s *streams) *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "logs [FILE…]",
		Short: "What firewalls let pass and refused, by their logs",
		Long: `Reads the logs of firewalls, whatever wrote them: netfilter in all its
prefixes, pf, Windows, the network vendors', clouds' and Kubernetes'. The
dialect is told line by line; a line that is not recognised for certain is
counted and left alone. Compressed logs are read as they are; - is stdin.

Without --by, people get the summary by port, with who scanned or swept, and
--json gives the events as JSON Lines. A log is often a sample: where it is,
that is said.`,
		Example: `  portreeve logs /var/log/ufw.log               the ports, busiest first
  portreeve logs --by source /var/log/kern.log* who asked; who scanned
  portreeve logs --journal --action deny        from the journal
  portreeve logs --follow /var/log/ufw.log      events as they come
  portreeve logs --json asa.log | jq .dst_port  events as JSON Lines
  portreeve logs --unparsed my.log              which lines are no event
  portreeve logs --format list                  the dialects`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.files = args
			return runLogs(cmd.Context(), s, &f)
		},
	}
	f.register(cmd)
	narrowHelp(cmd)
	return cmd
}

func (f *logFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "auto", "read one dialect only (list shows them)")
	fl.BoolVar(&f.journal, "journal", false, "read the systemd journal (journalctl)")
	fl.BoolVarP(&f.follow, "follow", "f", false, "go on as the log grows; rotation is noticed")
	fl.BoolVar(&f.fresh, "new", false, "with --follow: only what comes from now on")
	fl.StringVar(&f.action, "action", "", "only what was permitted, or denied: permit or deny")
	fl.StringVar(&f.by, "by", "", "sum up by port, pair, source, rule or time")
	fl.BoolVar(&f.json, "json", false, "JSON Lines of events; with --by one document")
	fl.BoolVar(&f.unparsed, "unparsed", false, "list the lines that are no firewall event")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "all rows")
	fl.StringSliceVar(&f.own, "own", nil, "your own public networks, as 203.0.113.0/24 (may repeat)")
	fl.StringSliceVar(&f.outside, "outside", nil, "interfaces or zones that lead outside (may repeat)")
	fl.StringVar(&f.zone, "zone", "Local", "zone of times that name none, as UTC or Europe/Berlin")
	fl.DurationVar(&f.width, "width", 0, "with --by time: how long each row is, as 1h")
	fl.DurationVar(&f.duration, "duration", 0, "with --follow: end after this long")
}

// byTime and bySource are rows of logs that traffic does not have.
const (
	bySource = "source"
	byRule   = "rule"
	byTime   = "time"
)

func runLogs(ctx context.Context, s *streams, f *logFlags) error {
	if f.format == "list" {
		_, err := fmt.Fprintln(s.out, strings.Join(fwlog.Formats(), "\n"))
		return err
	}
	if err := f.check(s); err != nil {
		return err
	}
	enoughMemory()
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	if f.lines() {
		return tellEvents(ctx, s, f)
	}
	return sumUp(ctx, s, f)
}

// lines: each event is told, not a summary.
func (f *logFlags) lines() bool { return f.by == "" && (f.json || f.follow) || f.unparsed }

func (f *logFlags) check(s *streams) error {
	rows := []string{"", byPort, byPair, bySource, byRule, byTime}
	switch {
	case !slices.Contains(rows, f.by):
		return usage("write --by "+strings.Join(rows[1:], ", "), "--by %q is not known", f.by)
	case f.format != "auto" && f.format != "" && !slices.Contains(fwlog.Formats(), f.format):
		return usage("portreeve logs --format list shows them", "--format %q is no dialect that is known", f.format)
	case f.unparsed && f.by != "":
		return usage("leave --by out", "--unparsed lists lines; it cannot be summed up")
	case f.fresh && !f.follow:
		return usage("add --follow", "--new tells where following begins")
	case f.duration != 0 && !f.follow:
		return usage("add --follow", "--duration tells when following ends")
	case f.width != 0 && f.by != byTime:
		return usage("add --by time", "--width tells how long its rows are")
	case f.width < 0 || f.duration < 0:
		return usage("write it as 1h or 30s", "a length of time below zero")
	}
	return errors.Join(f.readAction(), f.readZone(), f.readOwn(), f.readFiles(s))
}

func (f *logFlags) readAction() error {
	switch f.action {
	case "":
	case "permit":
		f.want = fwlog.Permit
	case "deny":
		f.want = fwlog.Deny
	default:
		return usage("write --action permit or deny", "--action %q is not known", f.action)
	}
	return nil
}

func (f *logFlags) readZone() (err error) {
	if f.location, err = time.LoadLocation(f.zone); err != nil {
		return usage("write a name as UTC, Local or Europe/Berlin", "--zone %s: %w", f.zone, err)
	}
	return nil
}

func (f *logFlags) readOwn() error {
	for _, text := range f.own {
		p, err := netip.ParsePrefix(text)
		if addr, bad := netip.ParseAddr(text); bad == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return usage("write a network as 203.0.113.0/24", "--own %q is no network", text)
		}
		f.networks = append(f.networks, p.Masked())
	}
	return nil
}

// readFiles: without a name, what comes on standard input is read, but nobody
// is made to type a log.
func (f *logFlags) readFiles(s *streams) error {
	if f.journal || len(f.files) > 0 {
		return nil
	}
	in, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		f.files = []string{"-"}
		return nil
	}
	hint := "give a file, as /var/log/kern.log, or --journal"
	if here := knownLogs(); len(here) > 0 {
		hint = "here are: " + strings.Join(here, " ") + "\nor read the journal: portreeve logs --journal"
	}
	return usage(hint, "no log to read")
}

// knownLogs are the places where distributions put firewalls' lines.
func knownLogs() (out []string) {
	for _, name := range []string{"/var/log/ufw.log", "/var/log/firewall", "/var/log/firewalld", "/var/log/kern.log", "/var/log/messages", "/var/log/syslog", "/var/log/filter.log", "/var/log/ulog/syslogemu.log"} {
		if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() {
			out = append(out, name)
		}
	}
	return out
}

func (f *logFlags) options() fwlog.Options {
	return fwlog.Options{Now: time.Now(), Zone: f.location, Format: f.format}
}

// wants tells whether an event is asked for.
func (f *logFlags) wants(e *fwlog.Event) bool { return f.want == fwlog.NoAction || e.Action == f.want }
