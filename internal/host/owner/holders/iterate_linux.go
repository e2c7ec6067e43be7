package holders

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/host/owner/bpfload"
)

// readSize is the kernel's own buffer for a BPF iterator (8 pages of 4 KiB,
// kernel/bpf/bpf_iter.c); larger reads give no more at once.
const readSize = 32 << 10

// Iterate reads all sockets' descriptors, or with listening only those of
// sockets that may be listeners, from the kernel's file tables: every process
// in the caller's PID namespace and those below it. The answer is sorted.
func Iterate(ctx context.Context, listening bool) ([]Record, error) {
	prog, err := load(listening)
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	it, err := link.AttachIter(link.IterOptions{Program: prog})
	if err != nil {
		return nil, &LoadError{"attach", err}
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return nil, &LoadError{"open", err}
	}
	defer r.Close()
	records, err := readRecords(ctx, r)
	if err != nil {
		return nil, err
	}
	return Sort(records), nil
}

// load needs no RLIMIT_MEMLOCK: Linux 5.11, which brought the program's
// helpers, also stopped counting BPF memory against it.
func load(listening bool) (*ebpf.Program, error) {
	if !mayLoad() {
		return nil, &LoadError{"load", fmt.Errorf("needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN): %w", unix.EPERM)}
	}
	spec, err := loadTaskfile()
	if err != nil {
		return nil, &LoadError{"read the program", err}
	}
	name := taskfileProgEverySocket
	if listening {
		name = taskfileProgListeningSockets
	}
	prog, err := bpfload.Load(spec, name)
	if err != nil {
		return nil, &LoadError{"load", err}
	}
	return prog, nil
}

// readRecords reads to the end. The kernel answers EAGAIN after a million
// descriptors without a socket among them, and goes on from there.
func readRecords(ctx context.Context, r io.Reader) ([]Record, error) {
	buf := make([]byte, readSize)
	var records []Record
	var held int // bytes of an unfinished record at the start of buf
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf[held:])
		records, held = decode(records, buf, held+n)
		switch {
		case err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		case errors.Is(err, io.EOF):
			return records, nil
		default:
			return nil, &LoadError{"read", err}
		}
		if len(records) > MaxRecords {
			return nil, fmt.Errorf("BPF task_file iterator: more than %d descriptors of sockets", MaxRecords)
		}
	}
}
