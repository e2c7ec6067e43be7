package sockiter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/portreeve/portreeve/internal/host/owner/bpfload"
	"golang.org/x/sys/unix"
)

// Iterator is a loaded program. Close it.
type Iterator struct {
	prog *ebpf.Program
	it   *link.Iter
}

// Open loads the iterator of a kind.
func Open(kind Kind) (*Iterator, error) {
	spec, err := loadSockets()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	name := socketsProgDatagrams
	if kind == Listeners {
		name = socketsProgListeners
	}
	prog, err := bpfload.Load(spec, name)
	if err != nil {
		return nil, fmt.Errorf("%w: load: %w", ErrUnsupported, err)
	}
	it, err := link.AttachIter(link.IterOptions{Program: prog})
	if err != nil {
		_ = prog.Close()
		return nil, fmt.Errorf("%w: attach: %w", ErrUnsupported, err)
	}
	return &Iterator{prog, it}, nil
}

// Close frees the program.
func (i *Iterator) Close() error { return errors.Join(i.it.Close(), i.prog.Close()) }

// Read calls fn with every socket of the calling thread's network namespace
// that has a file.
func (i *Iterator) Read(ctx context.Context, fn func(Socket)) error {
	r, err := i.it.Open()
	if err != nil {
		return fmt.Errorf("%w: open: %w", ErrUnsupported, err)
	}
	defer r.Close()
	lines := bufio.NewScanner(patient{ctx, r})
	for lines.Scan() {
		s, err := parse(lines.Bytes())
		if err != nil {
			return fmt.Errorf("BPF socket iterator: %w", err)
		}
		fn(s)
	}
	return lines.Err()
}

// patient reads again when the kernel wants to be asked again, until ctx ends.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	for {
		if err := p.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := p.r.Read(b)
		if n > 0 || !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
