package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/watch"
	"github.com/portreeve/portreeve/internal/watch/sink"
	"github.com/portreeve/portreeve/internal/watch/unit"
)

// serviceConfig is read when it is there and no other is named.
const serviceConfig = "/etc/portreeve/watch.yaml"

type serviceFlags struct {
	config     string
	program    string
	namespaces bool
	memory     int
	install    bool
	remove     bool
}

func newInstallService(s *streams) *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:   "install-service",
		Short: "Run \"portreeve watch\" as a hardened systemd service",
		Long: `Prints the systemd unit under which "portreeve watch" runs: with the few
capabilities that it needs, a read-only system, limits for memory, and the
reason beside everything that is allowed. It changes nothing without --install,
which writes the unit, starts it, and has it started with the machine; --remove
takes it away again. A unit of that name that somebody else wrote is left alone.

What the configuration asks for is read from it: audits by the clock and mail
need more than watching does, and the unit then says so.`,
		Example: `  portreeve install-service                      print the unit
  portreeve install-service --config /etc/portreeve/watch.yaml
  portreeve install-service --install            write, enable and start it
  portreeve install-service --remove             stop it and take it away`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runInstallService(cmd.Context(), s, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "the watch's configuration ("+serviceConfig+" if it is there)")
	fl.StringVar(&f.program, "program", "", "path of portreeve in the unit (default: this program)")
	fl.BoolVar(&f.namespaces, "namespaces", false, "list inside other network namespaces too (CAP_SYS_ADMIN)")
	fl.IntVar(&f.memory, "memory", 512, "MemoryMax of the service, in MiB")
	fl.BoolVar(&f.install, "install", false, "write the unit, enable and start the service")
	fl.BoolVar(&f.remove, "remove", false, "stop the service and remove the unit")
	return cmd
}

func runInstallService(ctx context.Context, s *streams, f *serviceFlags) error {
	switch {
	case f.install && f.remove:
		return usage("write one of them", "both --install and --remove were given")
	case f.memory < 64 || f.memory > 1<<20:
		return usage("write it as in --memory 512", "--memory %d is not within 64…%d MiB", f.memory, 1<<20)
	case f.remove:
		done, err := unit.Remove(ctx)
		return s.serviceDone(done, err)
	}
	text, err := f.unit(s)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(s.out, text); err != nil {
		return writeError(err)
	}
	if !f.install {
		return nil
	}
	if err := f.inPlace(); err != nil {
		return err
	}
	done, err := unit.Install(ctx, text)
	return s.serviceDone(done, err)
}

// unit writes the unit for the configuration.
func (f *serviceFlags) unit(s *streams) (string, error) {
	if err := f.findProgram(); err != nil {
		return "", err
	}
	o := unit.Options{Program: f.program, MemoryMax: f.memory}
	c, err := f.readConfig(s)
	if err != nil {
		return "", err
	}
	if c != nil {
		o.Args = []string{"--config", f.config}
		o.Audits = len(c.Schedule.Audit)+len(c.Schedule.Vantages) > 0 || c.Traffic != nil
		o.Namespaces = c.NetNS != "" && c.NetNS != "all" && c.NetNS != "self"
		for i := range c.Sinks {
			o.Mail = o.Mail || c.Sinks[i].Kind == sink.Mail
		}
	}
	o.Namespaces = o.Namespaces || f.namespaces
	text, err := unit.Render(o)
	if err != nil {
		return "", usage("put the program and its configuration where their paths are plain", "%w", err)
	}
	return text, nil
}

func (f *serviceFlags) findProgram() error {
	if f.program == "" {
		self, err := os.Executable()
		if err != nil {
			return usage("give it with --program", "find this program's file: %w", err)
		}
		f.program = self
	}
	if !filepath.IsAbs(f.program) {
		return usage("write the whole path, from /", "--program %q is no whole path", f.program)
	}
	return nil
}

// readConfig reads the named file, else the usual one if it is there: nil
// without any.
func (f *serviceFlags) readConfig(s *streams) (*watch.Config, error) {
	named := f.config != ""
	if !named {
		f.config = serviceConfig
	}
	if !filepath.IsAbs(f.config) {
		return nil, usage("write the whole path, from /", "--config %q is no whole path: the service runs elsewhere", f.config)
	}
	b, err := readInput(s, f.config, watch.MaxConfigBytes+1)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, usage("give a readable configuration file", "read the configuration: %w", err)
	}
	c, err := watch.ParseConfig(b)
	if err != nil {
		return nil, usage("correct the file; nothing was changed", "configuration %s: %w", f.config, err)
	}
	return c, nil
}

// inPlace refuses what the service could not reach, or others could change.
func (f *serviceFlags) inPlace() error {
	for flag, path := range map[string]string{"--program": f.program, "--config": f.config} {
		for _, tmp := range []string{"/tmp/", "/var/tmp/"} {
			if strings.HasPrefix(filepath.Clean(path), tmp) {
				return usage("put it where it stays, as /usr/local/bin or /etc/portreeve", "%s %s: the service has a %s of its own and would not find it; nothing was changed", flag, path, tmp)
			}
		}
	}
	return safeProgram(f.program)
}

// safeProgram refuses a program that others than root may replace: the service
// would run what they wrote, with its capabilities.
func safeProgram(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return usage("give it with --program", "the service's program: %w", err)
	}
	if why := replaceable(real); why != "" {
		return &exitError{code: exitRefused, err: fmt.Errorf("%s: %s; nothing was changed", real, why),
			hint: "install it where only root writes, as /usr/local/bin/portreeve (mode 0755, owner root)"}
	}
	return nil
}

// serviceDone says what was done, and what was not.
func (s *streams) serviceDone(done []string, err error) error {
	for _, line := range done {
		if _, err := fmt.Fprintln(s.err, "done: "+line); err != nil {
			return writeError(err)
		}
	}
	if err == nil {
		return nil
	}
	out := &exitError{code: exitUsage, err: err}
	var part *unit.PartError
	switch {
	case errors.As(err, &part):
		out.code, out.hint = exitPartial, "see: systemctl status "+unit.Name+"; undo with: portreeve install-service --remove"
	case errors.Is(err, unit.ErrNotOurs):
		out.code, out.hint = exitRefused, "look at it with: systemctl cat "+unit.Name
	case errors.Is(err, unit.ErrNoSystemd):
		out.hint = "print the unit without --install, and put it where your service manager wants it"
	}
	return out
}
