package event

import (
	"context"
	"errors"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Errors of this package; compare with errors.Is.
var (
	// ErrUnsupported is the answer on systems other than Linux.
	ErrUnsupported = errors.New("event: listeners are followed on Linux only")
	// ErrUnavailable: the source that Options.Source asks for cannot be used
	// here. It wraps the reason.
	ErrUnavailable = errors.New("this source of listener events cannot be used here")
)

// Options say what to follow and how. The zero value follows every network
// namespace by the best source that the kernel and the privileges allow.
type Options struct {
	// NetNS is "all" (also ""), "self", a name under /run/netns, or a
	// namespace's inode number, as of internal/host. A namespace other than
	// "all" is looked up once, when the stream opens.
	NetNS string
	// Source asks for one source and no other; "" is the best that works.
	Source string
	// Interval is the time between two listings of SourceDestroy and
	// SourceListing; 0 is 500 ms. It is stretched while a listing takes more
	// than a three-hundredth of it.
	Interval time.Duration
	// steady keeps the interval as it is, for tests.
	steady bool
	// Cgroup is where the cgroup2 tree is mounted; "" finds it.
	Cgroup string
	// Ring is the size of the kernel's buffer of events in bytes, a power of
	// two; 0 is 4 MiB, which holds some 15,000 events.
	Ring int
}

// Stream follows listeners. Make one with Open, call Run once, then Close.
type Stream struct {
	source source
	gaps   []exposure.Gap
}

// source is one way to know.
type source interface {
	name() string
	// run calls fn with everything that happens until ctx ends.
	run(ctx context.Context, fn func(Event) error) error
	// lost counts events that were lost so far.
	lost() uint64
	capabilities() []string
	close() error
}

// Open prepares everything that needs privilege: afterwards the process may
// give up every capability that Capabilities does not name. What happens
// between Open and Run is kept by the BPF sources (until their buffer is
// full), so that a listing made in between misses nothing: a socket of the
// listing may then be told as opened once more, with the same inode.
func Open(ctx context.Context, o Options) (*Stream, error) { return open(ctx, o) }

// Run calls fn with every event, one after another, in the order in which
// they happened, until ctx ends (nil) or fn fails (its error). While fn works
// nothing else is read: the kernel's buffer must last that long.
func (s *Stream) Run(ctx context.Context, fn func(Event) error) error {
	err := s.source.run(ctx, fn)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// Source names how events are known: one of the constants.
func (s *Stream) Source() string { return s.source.name() }

// Gaps say what this source does not see, and why a better one is not used.
func (s *Stream) Gaps() []exposure.Gap { return s.gaps }

// Lost counts the events that were lost since Open. Safe to call meanwhile.
func (s *Stream) Lost() uint64 { return s.source.lost() }

// Capabilities names the capabilities, as CAP_SYS_PTRACE, that Run still uses;
// without them it goes on and knows less of owners.
func (s *Stream) Capabilities() []string { return s.source.capabilities() }

// Close frees what Open opened. Call it after Run has returned.
func (s *Stream) Close() error { return s.source.close() }
