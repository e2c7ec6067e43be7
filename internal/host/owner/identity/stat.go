package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of times in /proc on every
// architecture that Go runs on (include/asm-generic/param.h).
const ticksPerSecond = 100

type stat struct {
	comm  string
	start uint64 // ticks after boot
}

var errStat = errors.New("not in the form of proc_pid_stat(5)")

// parseStat reads a /proc/PID/stat file. The name is between the first "("
// and the last ")", since it may hold both; field 22 is the start time.
func parseStat(line string) (stat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return stat{}, errStat
	}
	fields := strings.Fields(line[end+1:]) // from field 3
	const startTime = 22 - 3
	if len(fields) <= startTime {
		return stat{}, errStat
	}
	start, err := strconv.ParseUint(fields[startTime], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("%w: start time %q", errStat, fields[startTime])
	}
	return stat{comm: line[open+1 : end], start: start}, nil
}

func readStat(dir string) (stat, error) {
	line, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(line))
}

func (s stat) started(boot time.Time) time.Time {
	const perTick = time.Second / ticksPerSecond
	if boot.IsZero() || s.start > uint64(1<<63-1)/uint64(perTick) {
		return time.Time{}
	}
	return boot.Add(time.Duration(s.start) * perTick)
}

// BootTime reads field btime of the proc file system's stat file
// (proc_stat(5)): whole seconds, in UTC. Zero when it is not there.
func BootTime(procRoot string) time.Time {
	text, err := os.ReadFile(filepath.Join(procRoot, "stat"))
	if err != nil {
		return time.Time{}
	}
	return parseBootTime(string(text))
}

func parseBootTime(text string) time.Time {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil || seconds <= 0 {
				return time.Time{}
			}
			return time.Unix(seconds, 0).UTC()
		}
	}
	return time.Time{}
}

var errStatus = errors.New("no effective user in the form of proc_pid_status(5)")

// parseUID reads the effective user (the second number of field Uid) from a
// /proc/PID/status file.
func parseUID(status string) (uint32, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "Uid:"); ok {
			ids := strings.Fields(value)
			if len(ids) < 2 {
				return 0, errStatus
			}
			uid, err := strconv.ParseUint(ids[1], 10, 32)
			if err != nil {
				return 0, errStatus
			}
			return uint32(uid), nil
		}
	}
	return 0, errStatus
}

func readUID(dir string) (uint32, error) {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0, err
	}
	return parseUID(string(status))
}
