package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func sections() []section {
	return []section{
		{"host-large", "host: 100,000 sockets", largeHost},
		{"host-small", "host: a small host", smallHost},
		{"audit", "audit: four addresses, thirty listeners", auditHost},
		{"scan-connect", "scan: every port by connections", scanConnect},
		{"scan-syn", "scan: every port by SYN", scanSYN},
		{"scan-wide", "scan: 65,536 addresses, 16 ports", scanWide},
		{"scan-loss", "scan: one probe in five lost", scanLoss},
		{"scan-udp", "scan: thirteen UDP services", scanUDP},
		{"scan-identify", "scan: fourteen real daemons recognised", scanIdentify},
		{"traffic-file", "traffic: ten million packets of a file", trafficFile},
		{"traffic-live", "traffic: two million packets live", trafficLive},
		{"logs", "logs: three million lines", logFile},
		{"rules", "rules: ten thousand rules", bigRules},
		{"watch", "watch: at rest, a storm, short lives", watchHost},
		{"history", "history: a week", weekOfHistory},
	}
}

// measureAll builds the program, measures the chosen sections and writes the
// page. Sections that were not chosen stay as they are.
func measureAll(ctx context.Context, o options, chosen []section) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes network namespaces, and only root sees the owners of all sockets")
	}
	if o.bin == "" {
		dir, err := os.MkdirTemp("", "portreeve-bench")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.bin = filepath.Join(dir, "portreeve")
		if err := build(ctx, o.bin); err != nil {
			return err
		}
	}
	measured, err := measure(ctx, o, chosen)
	return errors.Join(err, update(o.out, measured))
}

func build(ctx context.Context, bin string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "./cmd/portreeve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build portreeve: %w", err)
	}
	return nil
}

func measure(ctx context.Context, o options, chosen []section) ([]block, error) {
	var out []block
	for _, s := range chosen {
		fmt.Printf("== %s\n", s.title)
		r, err := s.run(ctx, o)
		if err != nil {
			return out, fmt.Errorf("section %s: %w", s.name, err)
		}
		out = append(out, block{s.name, fmt.Sprintf("## %s\n\n%s\n\n%s", s.title, machine(ctx), r.markdown())})
	}
	return out, nil
}

func update(path string, measured []block) error {
	if len(measured) == 0 {
		return nil
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var order []string
	for _, s := range sections() {
		order = append(order, s.name)
	}
	page := writePage(merge(readBlocks(string(old)), measured, order))
	return os.WriteFile(path, []byte(page), 0o644)
}

// machine is one paragraph: when, on what, with which versions.
func machine(ctx context.Context) string {
	var uts unix.Utsname
	_ = unix.Uname(&uts)
	return fmt.Sprintf("Measured %s on %s, %d cores, %s, %s, Linux %s, %s; %s.",
		time.Now().UTC().Format("2006-01-02"), field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		ram(), field("/etc/os-release", "PRETTY_NAME"),
		unix.ByteSliceToString(uts.Release[:]), runtime.Version(), versions(ctx))
}

func ram() string {
	kib, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return "unknown memory"
	}
	return fmt.Sprintf("%.3g GiB of memory", float64(kib)/(1<<20))
}

// field is the first value of a key in a file of "key: value" or "key=value"
// lines.
func field(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown " + key
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), key)
		if ok {
			return strings.Trim(rest, " \t:=\"")
		}
	}
	return "unknown " + key
}

// versions asks dpkg for the tools, and git for our own state.
func versions(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version}, ", "iproute2", "lsof", "net-tools", "nmap", "masscan", "tcpdump", "nfdump").Output()
	if err != nil {
		out = []byte("versions of the tools unknown, ")
	}
	return string(out) + "portreeve " + commit(ctx)
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--tags").Output()
	if err != nil {
		return "of an unknown commit"
	}
	return strings.TrimSpace(string(out))
}
