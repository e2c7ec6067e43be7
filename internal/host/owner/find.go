package owner

import (
	"context"
	"errors"
	"fmt"

	"github.com/portreeve/portreeve/internal/host/owner/holders"
)

// walkBudget is how many descriptors a walk may read before the BPF iterator
// is faster: the walk needs about 2 µs for each, the iterator some 4 ms to
// load. A walk that is given up has cost no more than that.
const walkBudget = 2000

// Find reads the holders of every socket on the host. It fails with
// ErrUnsupported, a *holders.LoadError where only MethodBPF was allowed, a
// *holders.WalkError, or the context's error.
func Find(ctx context.Context, q Query) (*Table, error) {
	if q.ProcRoot == "" {
		q.ProcRoot = "/proc"
	}
	switch q.Method {
	case MethodBPF:
		if !holders.SameNamespace(q.ProcRoot) {
			return nil, errOtherNamespace(q.ProcRoot)
		}
		return iterate(ctx, q)
	case MethodWalk:
		return walk(ctx, q, nil)
	case "":
		return choose(ctx, q)
	}
	return nil, fmt.Errorf("owner: no method %q: use %q, %q or none", q.Method, MethodBPF, MethodWalk)
}

func errOtherNamespace(procRoot string) error {
	return &holders.LoadError{Op: "prepare", Err: fmt.Errorf("%s numbers processes otherwise than this PID namespace does", procRoot)}
}

// choose walks small hosts and iterates over large ones. The size is learned
// by walking with a budget, since the number of descriptors is written down
// nowhere. A walk that was denied something (a process guarded by a security
// module) is not enough either, unless the caller says so: the iterator sees it.
func choose(ctx context.Context, q Query) (*Table, error) {
	if !holders.SameNamespace(q.ProcRoot) {
		return walk(ctx, q, errOtherNamespace(q.ProcRoot))
	}
	if manyFiles(q.ProcRoot) {
		return iterateOr(ctx, q, func(why error) (*Table, error) { return walk(ctx, q, why) })
	}
	walked, err := holders.Walk(ctx, holders.WalkOptions{ProcRoot: q.ProcRoot, Budget: walkBudget})
	switch {
	case errors.Is(err, holders.ErrOverBudget):
		return iterateOr(ctx, q, func(why error) (*Table, error) { return walk(ctx, q, why) })
	case err != nil:
		return nil, err
	}
	if t := q.table(walked, nil); t.why == "" || q.Enough != nil && q.Enough(t) {
		return t, nil
	}
	return iterateOr(ctx, q, func(why error) (*Table, error) { return q.table(walked, why), nil })
}

// iterateOr does otherwise where the iterator cannot be loaded, and only
// there.
func iterateOr(ctx context.Context, q Query, otherwise func(error) (*Table, error)) (*Table, error) {
	t, err := iterate(ctx, q)
	var load *holders.LoadError
	if errors.As(err, &load) {
		return otherwise(load)
	}
	return t, err
}

func iterate(ctx context.Context, q Query) (*Table, error) {
	records, err := holders.Iterate(ctx, q.Listening)
	if err != nil {
		return nil, err
	}
	return &Table{records: records, method: MethodBPF}, nil
}

func walk(ctx context.Context, q Query, fallback error) (*Table, error) {
	walked, err := holders.Walk(ctx, holders.WalkOptions{ProcRoot: q.ProcRoot})
	if err != nil {
		return nil, err
	}
	return q.table(walked, fallback), nil
}

func (q Query) table(w holders.Walked, fallback error) *Table {
	return &Table{
		records:  w.Records,
		method:   MethodWalk,
		denied:   w.DeniedOpen + w.DeniedRead,
		why:      whyDenied(q.ProcRoot, w),
		fallback: fallback,
	}
}
