package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/portreeve/portreeve/internal/report"
	"github.com/spf13/cobra"
)

// Exit codes of the command contract.
const (
	exitDone        = 0
	exitFindings    = 1
	exitUsage       = 2
	exitPartial     = 3
	exitRefused     = 4
	exitInterrupted = 130
)

// exitError ends a command with a code. Err may be nil: then everything was
// said already. Hint is what to do next, printed on a line of its own.
type exitError struct {
	code int
	err  error
	hint string
	// asked: the service manager stopped the command, which is no
	// interruption.
	asked bool
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is a mistake of the caller.
func usage(hint, format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// Main runs the program and returns its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(&streams{in: stdin, out: stdout, err: stderr})
	root.SetArgs(nmapSpelling(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return conclude(stderr, cmd, ctx.Err() != nil, err)
}

// conclude prints an error kindly and chooses the exit code.
func conclude(stderr io.Writer, cmd *cobra.Command, interrupted bool, err error) int {
	var e *exitError
	switch {
	case errors.As(err, &e):
	case err != nil:
		e = &exitError{code: exitUsage, err: err, hint: "see: " + cmd.CommandPath() + " --help"}
	default:
		e = &exitError{code: exitDone}
	}
	if e.err != nil && !(interrupted && errors.Is(e.err, context.Canceled)) {
		fmt.Fprintln(stderr, "portreeve: "+report.Escape(e.err.Error()))
		if e.hint != "" {
			fmt.Fprintln(stderr, "  "+strings.ReplaceAll(e.hint, "\n", "\n  "))
		}
	}
	if interrupted && !e.asked {
		fmt.Fprintln(stderr, "portreeve: interrupted; what was found so far is above")
		return exitInterrupted
	}
	return e.code
}

func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "portreeve",
		Short: "What is open here, who opened it, who can reach it, and should it be open?",
		Long: `Portreeve tells what is open on this machine, who opened it, whether it answers,
whether the firewall lets strangers in, what it is, and how to close it. It
changes nothing unless a command says so.`,
		Example: `  portreeve audit                    the main job: everything, judged
  portreeve host                     who listens here
  portreeve scan web-01              what answers on another machine
  portreeve traffic                  who talks to whom, live
  portreeve logs /var/log/ufw.log    what the firewall refused
  portreeve explain 5432             what a port is, and who has it here`,
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
		Args:    cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE:              unknownCommand,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&s.color, "color", "auto", "colour: auto, always or never (NO_COLOR is honoured)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return s.check() }
	root.SetVersionTemplate("portreeve {{.Version}}\n")
	root.AddCommand(newAudit(s), newHost(s), newScan(s), newTraffic(s), newLogs(s), newRules(s), newExplain(s), newClose(s), newWatch(s))
	root.AddCommand(newInstallService(s))
	root.AddCommand(newBaseline(s), newHistory(s))
	root.AddCommand(newPolicy(s))
	return root
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := "see: portreeve --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean: portreeve " + strings.Join(near, ", portreeve ")
	}
	return usage(hint, "there is no command %q", args[0])
}

// noArgs refuses stray words with a sentence.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("see: "+cmd.CommandPath()+" --help", "%s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown version)"
	}
	return info.Main.Version
}
