package holders

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Walk reads the links of every process's descriptors below a proc file
// system. The answer is sorted.
func Walk(ctx context.Context, opt WalkOptions) (Walked, error) {
	if opt.ProcRoot == "" {
		opt.ProcRoot = "/proc"
	}
	proc, err := openDir(unix.AT_FDCWD, opt.ProcRoot)
	if err != nil {
		return Walked{}, &WalkError{opt.ProcRoot, err}
	}
	defer unix.Close(proc)
	pids, err := numbers(proc, newScratch())
	if err != nil {
		return Walked{}, &WalkError{opt.ProcRoot, err}
	}
	w := &walk{ctx: ctx, proc: proc, pids: pids, budget: opt.Budget, kcmp: SameNamespace(opt.ProcRoot)}
	return w.run()
}

// walk is one call's shared state.
type walk struct {
	ctx    context.Context
	proc   int
	pids   []int32
	budget int
	kcmp   bool // the kernel knows processes by these numbers

	next    atomic.Int64 // index into pids
	visited atomic.Int64 // descriptors
}

func (w *walk) run() (Walked, error) {
	workers := make([]worker, min(runtime.GOMAXPROCS(0), maxWorkers, len(w.pids)/minShare+1))
	var wg sync.WaitGroup
	for i := range workers {
		workers[i] = worker{walk: w, scratch: newScratch()}
		wg.Go(workers[i].work)
	}
	wg.Wait()
	out := Walked{Processes: len(w.pids)}
	var failed []error
	for i := range workers {
		out.Records = append(out.Records, workers[i].records...)
		out.DeniedOpen += workers[i].deniedOpen
		out.DeniedRead += workers[i].deniedRead
		failed = append(failed, workers[i].err)
	}
	if err := errors.Join(failed...); err != nil {
		return Walked{}, err
	}
	out.Records = Sort(out.Records)
	return out, nil
}

// take gives the next process, or the reason to stop.
func (w *walk) take() (pid int32, ok bool, err error) {
	i := w.next.Add(1) - 1
	if i >= int64(len(w.pids)) {
		return 0, false, nil
	}
	if err := w.ctx.Err(); err != nil {
		return 0, false, err
	}
	return w.pids[i], true, nil
}

// count adds descriptors and says when they are too many.
func (w *walk) count(n int) error {
	total := w.visited.Add(int64(n))
	if w.budget > 0 && total > int64(w.budget) || total > maxVisited {
		return ErrOverBudget
	}
	return nil
}

// worker reads processes until none is left.
type worker struct {
	*walk
	scratch                *scratch
	records                []Record
	deniedOpen, deniedRead int
	err                    error
}

func (w *worker) work() {
	for {
		pid, ok, err := w.take()
		if err == nil && ok {
			err = w.process(pid)
		}
		if err != nil {
			w.err = err
			w.next.Add(int64(len(w.pids))) // stops the others
		}
		if err != nil || !ok {
			return
		}
	}
}

// process reads the leader's table, then those of threads that have their
// own.
func (w *worker) process(pid int32) error {
	name := w.scratch.path(pid, "/fd")
	err := w.table(pid, name)
	switch {
	case ended(err):
		// The leader may have ended while its threads live on.
	case denied(err):
		if !withoutFiles(w.proc, pid) {
			w.count1(err)
		}
		return nil
	case err != nil:
		return err
	}
	return w.threads(pid)
}

func (w *worker) count1(err error) {
	if errors.Is(err, errReadDenied) {
		w.deniedRead++
		return
	}
	w.deniedOpen++
}

// table reads one fd directory, given relative to the proc file system.
func (w *worker) table(pid int32, name *byte) error {
	dir, err := openAt(w.proc, name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for {
		n, err := getdents(dir, w.scratch.entries)
		if err != nil || n == 0 {
			return err
		}
		if err := w.links(pid, dir, w.scratch.entries[:n]); err != nil {
			return err
		}
	}
}

// links reads the links that a block of directory entries names.
func (w *worker) links(pid int32, dir int, block []byte) error {
	seen := 0
	for name := range entryNames(block) {
		fd, ok := number(name)
		if !ok {
			continue
		}
		seen++
		n, errno := readlink(dir, &name[0], w.scratch.link[:])
		if errno == unix.EACCES || errno == unix.EPERM {
			return errReadDenied
		}
		if inode, ok := socketInode(w.scratch.link[:n]); ok {
			w.records = append(w.records, Record{Inode: inode, PID: pid, FD: fd})
		}
	}
	return w.count(seen)
}
