package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What the watch is measured with.
const (
	watchListeners = 50
	watchIdle      = time.Minute
	burstFor       = time.Minute
	burstPerSecond = 1000
	burstPort      = 20_000
	burstPorts     = 500 // used in turn
	shortLives     = 50
	shortLife      = 20 * time.Millisecond
	shortPort      = 30_000
)

// watched is one run of portreeve watch.
type watched struct {
	cpu     float64 // seconds, user and system
	took    time.Duration
	peakKiB int64
	// opened and closed are the changes told, by the first port of the range.
	opened, closed int
	owned          int // of the opened, those that name their process
}

// watchHost measures the watch at rest, under a storm of listeners, and with
// listeners that live 20 ms.
func watchHost(ctx context.Context, o options) (result, error) {
	var g grid
	var goals []reached
	err := inNamespace(func() error {
		h, err := startHolders(ctx, []holding{{addr: "127.0.0.1", port: 10_000, listeners: watchListeners}})
		if err != nil {
			return err
		}
		g, goals, err = watchRuns(ctx, o)
		return errors.Join(err, h.release())
	})
	return result{situation: fmt.Sprintf("A namespace with %d listeners, watched with the history written. At rest: %s. The storm: one process opens and closes %s TCP listeners a second for %s, on %d ports in turn. "+
		"Short lives: %d listeners of %s each.", watchListeners, watchIdle, thousands(burstPerSecond), burstFor, burstPorts, shortLives, shortLife), grids: []grid{g}, goals: goals}, err
}

func watchRuns(ctx context.Context, o options) (grid, []reached, error) {
	idle, err := watchDuring(ctx, o, 0, func() (int, error) { time.Sleep(watchIdle); return 0, nil })
	if err != nil {
		return grid{}, nil, err
	}
	var made int
	storm, err := watchDuring(ctx, o, burstPort, func() (n int, err error) { made, err = burst(burstFor); return made, err })
	if err != nil {
		return grid{}, nil, err
	}
	short, err := watchDuring(ctx, o, shortPort, func() (int, error) { return shortLives, liveShortly() })
	if err != nil {
		return grid{}, nil, err
	}
	g := grid{head: []string{"", "", "listeners made", "opened told", "closed told", "with process", "CPU", "of a core", "peak memory"}}
	for _, r := range []struct {
		name string
		made int
		w    watched
	}{{"at rest", 0, idle}, {"storm", made, storm}, {"short lives", shortLives, short}} {
		g.rows = append(g.rows, []string{r.name, "", thousands(r.made), thousands(r.w.opened), thousands(r.w.closed), thousands(r.w.owned),
			fmt.Sprintf("%.2f s", r.w.cpu), fmt.Sprintf("%.2f %%", 100*r.w.cpu/r.w.took.Seconds()), memory(r.w.peakKiB)})
	}
	share := 100 * idle.cpu / idle.took.Seconds()
	return g, []reached{
		{fmt.Sprintf("at rest at most 0.5 %% of a core: %.2f %%", share), share <= 0.5},
		{fmt.Sprintf("at rest at most 50 MiB: %s", memory(idle.peakKiB)), idle.peakKiB <= 50<<10},
		{fmt.Sprintf("storm: every listener told, opened and closed: %d and %d of %d", storm.opened, storm.closed, made), storm.opened == made && storm.closed == made},
		{fmt.Sprintf("short lives: every one told with its process: %d of %d", short.owned, shortLives), short.owned == shortLives && short.closed == shortLives},
	}, nil
}

// watchDuring runs portreeve watch while work is done, and counts the changes
// that it tells of ports from first on.
func watchDuring(ctx context.Context, o options, first uint16, work func() (int, error)) (watched, error) {
	state, err := os.MkdirTemp("", "portreeve-watch")
	if err != nil {
		return watched{}, err
	}
	defer func() { _ = os.RemoveAll(state) }()
	cmd := exec.CommandContext(ctx, o.bin, "watch", "--json", "--netns", "self", "--settle", "0s")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	out, err := os.Create(filepath.Join(state, "changes.jsonl"))
	if err != nil {
		return watched{}, err
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout = out
	begun := time.Now()
	said, err := startWatching(cmd)
	if err != nil {
		return watched{}, err
	}
	_, err = work()
	time.Sleep(settle)
	err = errors.Join(err, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait() // interrupted is no failure
	if err != nil {
		return watched{}, fmt.Errorf("watch: %w\n%s", err, said)
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	w := watched{cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), took: time.Since(begun), peakKiB: int64(use.Maxrss)}
	return w, w.count(out, first)
}

// startWatching returns when the program says that it watches.
func startWatching(cmd *exec.Cmd) (*bytes.Buffer, error) {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	said, r := new(bytes.Buffer), bufio.NewReader(pipe)
	for {
		line, err := r.ReadString('\n')
		said.WriteString(line)
		if strings.Contains(line, "watching ") {
			go func() { _, _ = io.Copy(io.Discard, r) }()
			return said, nil
		}
		if err != nil {
			return nil, fmt.Errorf("portreeve watch did not begin: %w\n%s", errors.Join(err, cmd.Wait()), said)
		}
	}
}

// count reads what was told.
func (w *watched) count(f *os.File, first uint16) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for d := json.NewDecoder(f); ; {
		var c struct {
			Kind          string
			Before, After *struct {
				Port      uint16
				Processes []struct{ PID int }
			}
		}
		err := d.Decode(&c)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what the watch told: %w", err)
		}
		switch {
		case c.Kind == "opened" && c.After.Port >= first:
			w.opened++
			if len(c.After.Processes) > 0 {
				w.owned++
			}
		case c.Kind == "closed" && c.Before.Port >= first:
			w.closed++
		}
	}
}

// burst opens and closes listeners at the rate of the storm.
func burst(d time.Duration) (made int, err error) {
	tick := time.Second / burstPerSecond
	for begun := time.Now(); time.Since(begun) < d; made++ {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", burstPort+made%burstPorts))
		if err != nil {
			return made, fmt.Errorf("open a listener of the storm: %w", err)
		}
		if err := l.Close(); err != nil {
			return made, err
		}
		time.Sleep(time.Until(begun.Add(time.Duration(made+1) * tick)))
	}
	return made, nil
}

func liveShortly() error {
	for i := range shortLives {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", shortPort+i))
		if err != nil {
			return err
		}
		time.Sleep(shortLife)
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
