package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/learn"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/report"
)

// learnDenied proposes permits from denials. On a terminal each is asked;
// otherwise all go to the file as questions.
func learnDenied(ctx context.Context, s *streams, f *learnFlags, src *flowSource, o learn.Options) error {
	var existing *rulefile.File
	if f.rules != "" {
		var err error
		if existing, err = readRuleFile(s, f.rules); err != nil {
			return err
		}
	}
	flows := &flowSeq{ctx: ctx, src: src, names: f.from}
	proposals, rep, err := learn.Proposals(flows.seq(), existing, o)
	if err := errors.Join(flows.err, err); err != nil && !errors.Is(err, learn.ErrNoFlows) {
		return err
	}
	decisions := make([]learn.Decision, len(proposals))
	in, ok := s.in.(*os.File)
	if asks := ok && term.IsTerminal(int(in.Fd())) && len(proposals) > 0 && f.output != "-"; asks {
		w := &walk{in: bufio.NewReader(untilDone(ctx, s.in)), out: s.err, sampled: src.sampled}
		if decisions, err = w.ask(ctx, proposals); err != nil {
			return err
		}
	}
	file, err := learn.Apply(existing, proposals, decisions)
	if err != nil {
		return fmt.Errorf("put the decisions together: %w", err)
	}
	if f.name != "" {
		file.Name = f.name
	}
	if err := f.save(s, file); err != nil {
		return err
	}
	return s.finish(f.tell(s, src, file, rep), src.gaps)
}

// flowSeq is all flows of some files as a sequence; err is why it ended early.
type flowSeq struct {
	ctx   context.Context
	src   *flowSource
	names []string
	err   error
}

var errStopped = errors.New("no more flows are wanted")

func (q *flowSeq) seq() iter.Seq[*exposure.Flow] {
	return func(yield func(*exposure.Flow) bool) {
		err := q.src.all(q.ctx, q.names, func(f *exposure.Flow) error {
			if !yield(f) {
				return errStopped
			}
			return nil
		})
		if !errors.Is(err, errStopped) {
			q.err = err
		}
	}
}

// walk asks a person about each proposal.
type walk struct {
	in      *bufio.Reader
	out     io.Writer
	sampled bool
}

func (w *walk) ask(ctx context.Context, list []learn.Proposal) ([]learn.Decision, error) {
	out := make([]learn.Decision, len(list))
	fmt.Fprintf(w.out, "Proposals: %d. Denied is not needed: say yes only to what you know.\n", len(list))
	if w.sampled {
		fmt.Fprintln(w.out, "The log is a sample: it was denied at least so often, and other things may have been.")
	}
	for i := range list {
		d, done, err := w.one(ctx, i, len(list), &list[i])
		if err != nil {
			return nil, err
		}
		out[i] = d
		if done {
			break
		}
	}
	return out, nil
}

// one asks until there is an answer; done: the rest stays for later.
func (w *walk) one(ctx context.Context, i, n int, p *learn.Proposal) (d learn.Decision, done bool, err error) {
	fmt.Fprintf(w.out, "\n%d of %d: %s", i+1, n, report.RuleText(&p.Rule))
	for {
		fmt.Fprint(w.out, "permit it? [y]es [n]o [l]ater [e]dit [q]uit: ")
		word, err := w.in.ReadString('\n')
		if ctx.Err() != nil {
			return d, true, ctx.Err()
		}
		if err != nil {
			return d, true, nil // the end of the terminal: the rest stays for later
		}
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "y", "yes":
			return learn.Decision{Answer: learn.Yes}, false, nil
		case "n", "no":
			return learn.Decision{Answer: learn.No}, false, nil
		case "", "l", "later":
			return d, false, nil
		case "q", "quit":
			return d, true, nil
		case "e", "edit":
			if edited := w.edit(&p.Rule); edited != nil {
				return learn.Decision{Answer: learn.Yes, Edited: edited}, false, nil
			}
		}
	}
}

// edit takes other sources, targets and ports for a rule; nil: not taken.
func (w *walk) edit(r *rulefile.Rule) *rulefile.Rule {
	e := *r
	e.Action = rulefile.Permit
	e.From, e.To, e.Ports = w.list("from", r.From), w.list("to", r.To), w.list("ports", r.Ports)
	f := rulefile.File{Schema: rulefile.Schema, Rules: []rulefile.Rule{e}}
	if _, err := f.Resolve(); err != nil {
		fmt.Fprintln(w.out, "not taken:", report.Escape(err.Error()))
		return nil
	}
	return &e
}

func (w *walk) list(what string, now []string) []string {
	fmt.Fprintf(w.out, "%s [%s]: ", what, strings.Join(now, ", "))
	text, err := w.in.ReadString('\n')
	text = strings.TrimSpace(text)
	if err != nil || text == "" {
		return now
	}
	if text == "any" {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
