package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// logSource is one log.
type logSource struct {
	name string // as people call it
	path string // of a file that can be followed; else ""
	open func(ctx context.Context) (io.ReadCloser, error)
}

func (f *logFlags) sources(s *streams) []logSource {
	var out []logSource
	for _, name := range f.files {
		src := logSource{name: name, path: name, open: func(ctx context.Context) (io.ReadCloser, error) { return openInput(s.stoppableInput(ctx), name) }}
		if name == "-" {
			src.name, src.path = "standard input", ""
		}
		out = append(out, src)
	}
	if f.journal {
		out = append(out, logSource{name: "the journal", open: f.openJournal})
	}
	return out
}

// openJournal runs journalctl for what firewalls write: the kernel's lines
// and those of the daemons that log for a firewall.
func (f *logFlags) openJournal(ctx context.Context) (io.ReadCloser, error) {
	args := []string{"--output=json", "--no-pager", "--quiet"}
	if f.follow {
		args = append(args, "--follow")
		if f.fresh {
			args = append(args, "--lines=0")
		} else {
			args = append(args, "--lines=all")
		}
	}
	args = append(args, "_TRANSPORT=kernel", "+", "SYSLOG_IDENTIFIER=ulogd", "+", "SYSLOG_IDENTIFIER=filterlog", "+", "SYSLOG_IDENTIFIER=firewalld")
	cmd := exec.CommandContext(ctx, "journalctl", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run journalctl: %w", err)
	}
	j := &journal{pipe: out, cmd: cmd, said: &said}
	return &input{Reader: untilDone(ctx, j), close: j}, nil
}

// journal ends with the program that writes it.
type journal struct {
	pipe io.ReadCloser
	cmd  *exec.Cmd
	said *strings.Builder
	once sync.Once
	bad  error
}

// Read gives what the program complained of, at its end.
func (j *journal) Read(p []byte) (int, error) {
	n, err := j.pipe.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	if bad := j.wait(); bad != nil && j.cmd.ProcessState != nil && j.cmd.ProcessState.ExitCode() > 0 {
		return 0, fmt.Errorf("journalctl: %s", strings.TrimSpace(j.said.String()+" "+bad.Error()))
	}
	return 0, err
}

// wait is called by whoever reads and by whoever closes.
func (j *journal) wait() error {
	j.once.Do(func() { j.bad = j.cmd.Wait() })
	return j.bad
}

func (j *journal) Close() error {
	_ = j.cmd.Process.Kill() // it has nobody to write to any more
	_ = j.wait()
	return j.pipe.Close()
}

// followPace is how often a followed log is looked at.
const followPace = 200 * time.Millisecond

// logRun reads all sources and keeps what they were.
type logRun struct {
	s *streams
	f *logFlags

	mu    sync.Mutex
	stats fwlog.Stats
	gaps  []exposure.Gap
	read  int // sources that could be read
}

// each reads every source with fn. A source that cannot be read is a gap while
// others can.
func (r *logRun) each(ctx context.Context, fn func(ctx context.Context, src *logSource) (fwlog.Stats, error)) error {
	sources := r.f.sources(r.s)
	var first error
	one := func(src *logSource) {
		st, err := fn(ctx, src)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.add(st)
		if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			r.read++
			return
		}
		var said *exitError
		if errors.As(err, &said) { // of writing
			first = errors.Join(first, err)
			return
		}
		if st.Lines > 0 {
			r.read++
		}
		r.gaps = append(r.gaps, exposure.Gap{View: "logs", Why: fmt.Sprintf("%s: %v", src.name, err)})
	}
	if !r.f.follow {
		for i := range sources {
			one(&sources[i])
		}
	} else {
		var wait sync.WaitGroup
		for i := range sources {
			wait.Go(func() { one(&sources[i]) })
		}
		wait.Wait()
	}
	if first != nil {
		return first
	}
	if r.read == 0 && len(r.gaps) > 0 {
		return usage("give a log that can be read; root can read more of them", "read %s", r.gaps[0].Why)
	}
	return nil
}

func (r *logRun) add(st fwlog.Stats) {
	r.stats.Lines += st.Lines
	r.stats.Events += st.Events
	r.stats.Known += st.Known
	r.stats.Unknown += st.Unknown
	r.stats.TooLong += st.TooLong
	r.stats.Limited += st.Limited
	r.stats.Suppressed += st.Suppressed
}

// scan reads one source line by line, following it where that was asked for.
func (r *logRun) scan(ctx context.Context, src *logSource, visit fwlog.Visit) (fwlog.Stats, error) {
	if r.f.follow && src.path != "" {
		if _, err := os.Stat(src.path); err != nil {
			return fwlog.Stats{}, err
		}
		return fwlog.Follow(ctx, src.path, !r.f.fresh, followPace, r.f.options(), visit)
	}
	in, err := src.open(ctx)
	if err != nil {
		return fwlog.Stats{}, err
	}
	defer in.Close()
	return fwlog.Scan(whileRunning{ctx, in}, r.f.options(), visit)
}

// mostWorkers read one log: each counts for itself, and memory is bounded on
// large machines, too.
const mostWorkers = 8

// parallel reads one source on several cores. An interruption ends the
// reading; what was read until then is told.
func parallel[C any](ctx context.Context, r *logRun, src *logSource, w fwlog.Work[C]) (fwlog.Stats, error) {
	in, err := src.open(ctx)
	if err != nil {
		return fwlog.Stats{}, err
	}
	defer in.Close()
	return fwlog.Parallel(context.WithoutCancel(ctx), whileRunning{ctx, in}, r.f.options(), min(runtime.GOMAXPROCS(0), mostWorkers), w)
}

// conclude says on stderr how many lines are no event, and ends with the gaps.
func (r *logRun) conclude(written error) error {
	if n := r.stats.Unknown; n > 0 && written == nil {
		fmt.Fprintf(r.s.err, "portreeve: %d of %d lines are no firewall event (--unparsed lists them)\n", n, r.stats.Lines)
	}
	return r.s.finish(written, r.gaps)
}
