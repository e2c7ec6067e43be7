package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/remedy"
)

type policyInitFlags struct {
	output, from string
	force        bool
}

func newPolicyInit(s *streams) *cobra.Command {
	var f policyInitFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "A first policy from what listens now, with reasons to fill in",
		Long: `Writes a policy that expects just what listens on this host now, or on the host
of a ` + "`portreeve host --json`" + ` document: port, process, unit and scope as
seen, grouped by service. It judges nothing: what should not be open is open in
it too, until you fill in the reasons and take out what has none.`,
		Example: `  portreeve policy init                       on standard output
  portreeve policy init -o policy.yaml
  portreeve policy init --from web-01.json -o web.yaml
  portreeve policy check policy.yaml          what is left to fill in`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPolicyInit(cmd.Context(), s, &f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.output, "output", "o", "-", "where the policy goes (- is stdout)")
	fl.StringVar(&f.from, "from", "", "a portreeve host --json document instead of this host (- is stdin)")
	fl.BoolVar(&f.force, "force", false, "replace the file if it is there")
	return cmd
}

func runPolicyInit(ctx context.Context, s *streams, f *policyInitFlags) error {
	if f.output == "" {
		return usage("name a file; - is standard output", "-o names no file")
	}
	if f.output != "-" && !f.force {
		if _, err := os.Lstat(f.output); err == nil {
			return isThere(f.output)
		}
	}
	src, err := f.source(ctx, s)
	if err != nil {
		return err
	}
	d := policy.NewDraft(&src.in)
	if _, err := policy.Parse(d.Text); err != nil {
		return &exitError{code: exitPartial, err: fmt.Errorf("the policy of %d entries cannot be read again: %w", d.Expect, err), hint: "nothing was written; a policy has limits (docs/policy.md)"}
	}
	if f.output == "-" {
		if _, err := s.out.Write(d.Text); err != nil {
			return writeError(err)
		}
	} else if err := createWhole(f.output, d.Text, f.force); err != nil {
		return err
	}
	f.tell(s, &d)
	return s.finish(nil, src.gaps)
}

func (f *policyInitFlags) tell(s *streams, d *policy.Draft) {
	if f.output == "-" {
		return
	}
	fmt.Fprintf(s.err, "%s: %d entries. Fill in the reasons, take out what should not be open, then:\n  portreeve policy check %s\n", f.output, d.Expect, f.output)
}

// draftSource is what a first policy is made of, and what was not seen.
type draftSource struct {
	in   policy.DraftInput
	gaps []exposure.Gap
}

func (f *policyInitFlags) source(ctx context.Context, s *streams) (*draftSource, error) {
	book := knowledge.Open()
	d := &draftSource{}
	d.in.Protected = func(p exposure.Proto, port uint16) string {
		if a := book.Advice(p, port); a != nil && a.Protected {
			return a.ProtectedWhy
		}
		return ""
	}
	if f.from != "" {
		return d, d.document(s, f.from)
	}
	return d, d.host(ctx, s)
}

func (d *draftSource) host(ctx context.Context, s *streams) error {
	snap, err := newGatherer(s).snapshot(ctx)
	if err != nil {
		return hostError(err)
	}
	d.in.Host, d.in.Taken, d.in.Self, d.in.Sockets, d.gaps = hostname(), snap.Taken, snap.Self, snap.Sockets, snap.Gaps
	d.in.Ephemeral = ephemeralPorts()
	if found, err := remedy.Sessions(ctx, remedy.Machine{}); err == nil {
		for _, x := range found.Sessions {
			if x.Own {
				d.in.Operator, d.in.Way = x.Peer.Addr().Unmap().WithZone("").String(), x.Local.Port()
				break
			}
		}
	}
	return nil
}

// ephemeralPorts are those that the kernel chooses from; zero where that
// cannot be read.
func ephemeralPorts() (r [2]uint16) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // ip(7); IPv6 shares it
	if err != nil {
		return r
	}
	if _, err := fmt.Sscan(string(bytes.TrimSpace(text)), &r[0], &r[1]); err != nil || r[0] > r[1] {
		return [2]uint16{}
	}
	return r
}

func (d *draftSource) document(s *streams, name string) error {
	const hint = "give the output of `portreeve host --json`"
	b, err := readInput(s, name, maxDocument)
	if err != nil {
		return usage(hint, "read %s: %w", name, err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil || head.Schema != hostSchema {
		return usage(hint, "read %s: it is no %s document", name, hostSchema)
	}
	e := &evidence{s: s, in: &audit.Input{}}
	if err := e.addHost(name, b); err != nil {
		return usage(hint, "read %s: %w", name, errors.Unwrap(err))
	}
	doc := &e.hosts[0]
	d.in.Host, d.in.Taken, d.in.Self, d.in.Sockets, d.gaps = doc.Host, doc.Taken, e.namespace(doc), doc.Sockets, doc.Gaps
	for _, note := range e.in.Notes {
		fmt.Fprintln(s.err, "note: "+note)
	}
	return nil
}

func isThere(name string) error {
	return usage("name another file, or add --force to replace it", "write %s: %w", name, fs.ErrExist)
}

// createWhole writes a file that must not be there yet, in one step. With
// force it replaces a regular file; a device or a pipe is never replaced.
func createWhole(name string, data []byte, force bool) error {
	info, err := os.Lstat(name)
	switch {
	case err == nil && !force:
		return isThere(name)
	case err == nil && !info.Mode().IsRegular():
		return usage("name a file; - is standard output", "write %s: it is there, and it is no regular file", name)
	case err == nil:
		return writeWhole(name, data)
	}
	err = putWhole(name, data, func(tmp string) error { return appear(tmp, name) })
	if errors.Is(err, fs.ErrExist) {
		return isThere(name)
	}
	return err
}

// appear gives a finished file its name, unless another came there meanwhile.
func appear(tmp, name string) error {
	err := os.Link(tmp, name)
	switch {
	case err == nil:
		return os.Remove(tmp)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	return os.Rename(tmp, name) // a filesystem without links
}
