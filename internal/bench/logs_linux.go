package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The long log: netfilter's lines as a firewall at the internet writes them.
const (
	logLines   = 3_000_000
	logSources = 200_000
	logTargets = 16
)

// countPorts is how one counts ports in such a log by hand.
const countPorts = `{for(i=1;i<=NF;i++) if ($i ~ /^DPT=/) n[substr($i,5)]++} END{for(p in n) print p, n[p]}`

// logFile counts the ports of one long log with every tool.
func logFile(ctx context.Context, o options) (result, error) {
	dir, err := os.MkdirTemp("", "portreeve-logs")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "kern.log")
	if err := makeLongLog(path); err != nil {
		return result{}, err
	}
	var all []contest
	for _, awk := range []string{"mawk", "gawk"} {
		mine := ours(o, loggedPorts, nil, "logs", "--by", "port", "--json", path)
		mine.shown = strings.Replace(mine.shown, path, "FILE", 1)
		theirs := tool{shown: awk + " '{… n[substr($i,5)]++}' FILE", argv: []string{awk, countPorts, path}, read: awkPorts}
		all = append(all, contest{"events by port, against " + awk, mine, theirs, goal{ratio: 4, peakKiB: 200 << 10}, o.rounds})
	}
	rows, err := contests(ctx, all)
	return result{situation: fmt.Sprintf("%s lines of netfilter's, some 240 bytes each, of %s sources to %d targets, ports as the internet asks for them. "+
		"awk counts words that begin with DPT=; portreeve tells each line's dialect, time, verdict and addresses besides, and who the sources and targets are.",
		thousands(logLines), thousands(logSources), logTargets), rows: rows}, err
}

func makeLongLog(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	m := logMaker{w: bufio.NewWriterSize(f, 1<<20), captureMaker: captureMaker{random: 7}}
	for i := range logLines {
		m.line(i)
	}
	if err := m.w.Flush(); err != nil {
		_ = f.Close()
		return fmt.Errorf("write the long log: %w", err)
	}
	return f.Close()
}

// logMaker writes the same log for the same numbers.
type logMaker struct {
	w *bufio.Writer
	captureMaker
}

// asked are ports that everybody asks for; every fourth line has another.
var asked = [...]uint16{23, 22, 445, 80, 443, 3389, 8080, 5555, 6379, 1433, 8443, 3306}

func (m *logMaker) line(i int) {
	r := m.next()
	src := uint32(r%logSources)*2654435761 | 1<<24
	port := asked[r>>20%uint64(len(asked))]
	if r>>40&3 == 0 {
		port = uint16(r >> 44)
	}
	second := i / 40
	fmt.Fprintf(m.w, "Nov %2d %02d:%02d:%02d gate kernel: [%d.%06d] [FW DROP] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 SRC=%d.%d.%d.%d DST=192.0.2.%d LEN=60 TOS=0x00 PREC=0x00 TTL=%d ID=%d DF PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 SYN URGP=0\n",
		1+second/86400, second/3600%24, second/60%60, second%60, 1000+second, i%40*25000, 1+src>>24%223, src>>16&255, src>>8&255, src&255, 1+r>>50%logTargets, 40+r>>56%90, r>>12&0xffff, 1024+r>>30%60000, port)
}

// portCounts names ports with their counts, as both tools tell them.
func portCounts(counts map[uint64]uint64) answer {
	a := answer{}
	for port, n := range counts {
		a[strconv.FormatUint(port, 10)+" "+strconv.FormatUint(n, 10)] = true
	}
	return a
}

// loggedPorts reads portreeve.logs/1.
func loggedPorts(out []byte) (answer, error) {
	var doc struct {
		Ports []struct{ Port, Events uint64 }
	}
	err := json.Unmarshal(out, &doc)
	counts := map[uint64]uint64{}
	for _, p := range doc.Ports {
		counts[p.Port] += p.Events
	}
	return portCounts(counts), err
}

func awkPorts(out []byte) (answer, error) {
	counts := map[uint64]uint64{}
	for line := range strings.Lines(string(out)) {
		var port, n uint64
		if _, err := fmt.Sscan(line, &port, &n); err != nil {
			return nil, fmt.Errorf("awk said %.80q: %w", line, err)
		}
		counts[port] = n
	}
	return portCounts(counts), nil
}
