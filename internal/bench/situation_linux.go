package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// inNamespace runs fn on a thread with a network namespace of its own, which
// ends with the last process that fn started. Loopback is up.
func inNamespace(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("make a network namespace (needs root): %w", err)
			return
		}
		if err := sh("ip link set lo up"); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// sh runs shell lines in the namespace of the calling thread.
func sh(lines string) error {
	out, err := exec.Command("sh", "-euc", lines).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", lines, err, out)
	}
	return nil
}

// holders are the running processes of a situation.
type holders struct{ stop []io.Closer }

// startHolders starts one process for each holding and waits until all are
// ready. They end with release, or with this program.
func startHolders(ctx context.Context, list []holding) (*holders, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &holders{}
	var outs []io.ReadCloser
	for _, holding := range list {
		out, err := h.start(exec.CommandContext(ctx, self, holding.args()...))
		if err != nil {
			return nil, errors.Join(err, h.release())
		}
		outs = append(outs, out)
	}
	if err := allReady(outs); err != nil {
		return nil, errors.Join(err, h.release())
	}
	return h, nil
}

// stopped closes a holder's stdin and waits for its end.
type stopped struct {
	in  io.Closer
	cmd *exec.Cmd
}

func (s stopped) Close() error { return errors.Join(s.in.Close(), s.cmd.Wait()) }

func (h *holders) start(cmd *exec.Cmd) (io.ReadCloser, error) {
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a holder of sockets: %w", err)
	}
	h.stop = append(h.stop, stopped{in, cmd})
	return out, nil
}

func allReady(outs []io.ReadCloser) error {
	for i, out := range outs {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "ready\n" {
			return fmt.Errorf("holder %d of %d did not get ready (%q)", i+1, len(outs), line)
		}
	}
	return nil
}

// release ends every holder.
func (h *holders) release() error {
	errs := make([]error, len(h.stop))
	var wg sync.WaitGroup
	for i, s := range h.stop {
		wg.Go(func() { errs[i] = s.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
