package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// trafficGoal is the memory that a reading of the long capture may take.
const trafficPeakKiB = 150 << 10

// trafficFile reads one long capture with every tool.
func trafficFile(ctx context.Context, o options) (result, error) {
	dir, err := os.MkdirTemp("", "portreeve-traffic")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "long.pcap")
	if err := makeLongCapture(path); err != nil {
		return result{}, err
	}
	rows, err := contests(ctx, trafficContests(o, path, filepath.Join(dir, "nf")))
	return result{situation: longSituation, rows: rows, notes: []string{
		"Each tool reads the file from the page cache and writes to /dev/null (nfpcapd: its files). The answers compared are the packets in all flows; for the filter, the lines printed.",
	}}, err
}

const longSituation = "A pcap of 10,000,000 packets, 2.08 GB of file, 1.92 GB on the wire: 200,000 conversations, four in five TCP, one in twenty IPv6, " +
	"each packet of one drawn evenly, which is the hardest order for a table of flows."

func makeLongCapture(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := writeCapture(f, longPackets, longFlows); err != nil {
		_ = f.Close()
		return fmt.Errorf("write the long capture: %w", err)
	}
	return f.Close()
}

func trafficContests(o options, path, store string) []contest {
	nf := "rm -rf " + store + " && mkdir " + store + " && exec nfpcapd -r " + path + " -l " + store
	nfpcapd := tool{shown: "nfpcapd -r FILE -l DIR", argv: []string{"sh", "-c", nf},
		asked: []string{"sh", "-c", strings.Replace(nf, "exec ", "", 1) + " && nfdump -R " + store + " -I"}, read: nfdumpPackets}
	count := tool{shown: "tcpdump -r FILE --count", argv: []string{"tcpdump", "-r", path, "--count"}, read: countedPackets}
	const web = "tcp port 443"
	print := tool{shown: "tcpdump -nq -r FILE " + web, argv: []string{"tcpdump", "-nq", "-r", path, web}, read: countedLines}
	mine := func(read reading, args ...string) tool {
		t := ours(o, read, nil, append([]string{"traffic", "-r", path}, args...)...)
		t.shown = strings.Replace(t.shown, path, "FILE", 1)
		return t
	}
	return []contest{
		{"ports, against flows", mine(portPackets, "--by", "port", "--json"), nfpcapd, goal{ratio: 8, peakKiB: trafficPeakKiB}, 3},
		{"flows, against flows", mine(flowPackets, "--by", "flow", "--json"), nfpcapd, goal{ratio: 8, peakKiB: trafficPeakKiB}, 3},
		{"ports, against counting", mine(portPackets, "--by", "port", "--json"), count, goal{ratio: 0.4, peakKiB: trafficPeakKiB}, o.rounds},
		{"flows, against counting", mine(flowPackets, "--by", "flow", "--json"), count, goal{ratio: 0.4}, o.rounds},
		{"packets printed", mine(countedLines, "--by", "packet", web), print, goal{ratio: 5}, o.rounds},
	}
}

func packetsOnly(n uint64) answer { return answer{fmt.Sprintf("%d packets", n): true} }

// portPackets reads portreeve.traffic/1.
func portPackets(out []byte) (answer, error) {
	var doc struct{ Ports []struct{ Packets uint64 } }
	err := json.Unmarshal(out, &doc)
	var sum uint64
	for _, p := range doc.Ports {
		sum += p.Packets
	}
	return packetsOnly(sum), err
}

// flowPackets reads flows as JSON Lines.
func flowPackets(out []byte) (answer, error) {
	var sum uint64
	for line := range strings.Lines(string(out)) {
		var f struct {
			To   uint64 `json:"packets_to_server"`
			From uint64 `json:"packets_to_client"`
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			return nil, err
		}
		sum += f.To + f.From
	}
	return packetsOnly(sum), nil
}

var nfdumpStat = regexp.MustCompile(`(?m)^Packets: (\d+)$`)

// nfdumpPackets reads nfdump -I, one block for each file of the store or one
// for all.
func nfdumpPackets(out []byte) (answer, error) {
	m := nfdumpStat.FindSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("nfdump tells no packets: %.200q", out)
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 64)
	return packetsOnly(n), err
}

// countedPackets reads tcpdump --count.
func countedPackets(out []byte) (answer, error) {
	word, _, _ := strings.Cut(string(out), " ")
	n, err := strconv.ParseUint(word, 10, 64)
	return packetsOnly(n), err
}

func countedLines(out []byte) (answer, error) {
	return answer{fmt.Sprintf("%d lines", strings.Count(string(out), "\n")): true}, nil
}
