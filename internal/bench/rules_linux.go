package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// manyRules is how many rules a large rule set has.
const manyRules = 10_000

// bigRules asks questions about large rule sets.
func bigRules(ctx context.Context, o options) (result, error) {
	dir, err := os.MkdirTemp("", "portreeve-rules")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	g := grid{head: []string{"rule set", "", "lint", "findings", "compare with one rule turned", "regions", "100,000 packets asked"}}
	var goals []reached
	for _, kind := range []string{"networks and ports", "five fields at random", "nested networks"} {
		row, slowest, err := rulesRow(ctx, o, dir, kind)
		if err != nil {
			return result{}, err
		}
		g.rows = append(g.rows, row)
		goals = append(goals, reached{fmt.Sprintf("%s: each within 10 s: %.1f s", kind, slowest.Seconds()), slowest <= 10*time.Second})
	}
	return result{situation: fmt.Sprintf("iptables-save files of %s rules in one chain, the last one permits or denies everything; times are whole runs of the program.", thousands(manyRules)),
		grids: []grid{g}, goals: goals}, nil
}

func rulesRow(ctx context.Context, o options, dir, kind string) (row []string, slowest time.Duration, err error) {
	a, b, packets := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "packets")
	for _, err := range []error{writeRules(a, kind, -1), writeRules(b, kind, manyRules/2), writePackets(packets)} {
		if err != nil {
			return nil, 0, err
		}
	}
	run := func(in string, args ...string) (out []byte, took time.Duration, err error) {
		cmd := exec.CommandContext(ctx, o.bin, append([]string{"rules"}, args...)...)
		if in != "" {
			f, err := os.Open(in)
			if err != nil {
				return nil, 0, err
			}
			defer func() { _ = f.Close() }()
			cmd.Stdin = f
		}
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		begun := time.Now()
		out, err = cmd.Output()
		if took = time.Since(begun); err != nil {
			err = fmt.Errorf("rules %v: %w: %.300s", args, err, errOut.Bytes())
		}
		slowest = max(slowest, took)
		return out, took, err
	}
	lint, lintTook, err := run("", "lint", "--json", "--ruleset", a)
	if err != nil {
		return nil, 0, err
	}
	differ, differTook, err := run("", "compare", "--json", "--chain", "INPUT", a, b)
	if err != nil {
		return nil, 0, err
	}
	_, askTook, err := run(packets, "query", "--ruleset", a, "--chain", "INPUT", "--json", "-")
	if err != nil {
		return nil, 0, err
	}
	return []string{kind, "", inSeconds(lintTook), countOf(lint, "findings"), inSeconds(differTook), countOf(differ, "differences"), inSeconds(askTook)}, slowest, nil
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// countOf is the length of a list in a document.
func countOf(doc []byte, list string) string {
	var all map[string]json.RawMessage
	var items []json.RawMessage
	if json.Unmarshal(doc, &all) != nil || json.Unmarshal(all[list], &items) != nil {
		return "?"
	}
	return thousands(len(items))
}

// writeRules writes a rule set of a kind, with the verdict of one rule turned.
func writeRules(path, kind string, turned int) error {
	return writeFile(path, func(w io.Writer) {
		r := captureMaker{random: 3}
		fmt.Fprint(w, "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
		for i := range manyRules - 1 {
			text := ruleOf(&r, kind, i)
			if i == turned {
				text = strings.NewReplacer("ACCEPT", "DROP", "DROP", "ACCEPT").Replace(text)
			}
			fmt.Fprintln(w, "-A INPUT "+text)
		}
		fmt.Fprint(w, "-A INPUT -j REJECT\nCOMMIT\n")
	})
}

func ruleOf(r *captureMaker, kind string, i int) string {
	target := []string{"ACCEPT", "DROP"}[r.next()%2]
	n := r.next()
	switch kind {
	case "networks and ports":
		return fmt.Sprintf("-s 10.%d.%d.0/24 -d 192.168.%d.0/24 -p tcp --dport %d -j %s", i/250%250, i%250, n%64, 1+n>>8%1024, target)
	case "nested networks":
		return fmt.Sprintf("-s %d.%d.%d.%d/%d -p tcp --dport %d:%d -j %s", 10+n%4, n>>8%8, n>>16%256, n>>24%256, 8+n>>32%25, 1+n>>40%512, 600+n>>50%512, target)
	}
	return fmt.Sprintf("-s %d.%d.0.0/%d -d %d.%d.%d.0/%d -p %s --sport %d:65535 --dport %d:%d -j %s", n%224+1, n>>8%256, 9+n>>60%8, n>>16%224+1, n>>24%256, n>>32%256, 16+n>>40%9,
		[]string{"tcp", "udp"}[n>>63], n>>44%1024, 1+n>>48%1000, 1001+n>>54%1000, target)
}

func writePackets(path string) error {
	return writeFile(path, func(w io.Writer) {
		r := captureMaker{random: 9}
		for range 100_000 {
			n := r.next()
			fmt.Fprintf(w, `{"proto":"tcp","src":"10.%d.%d.%d","src_port":%d,"dst":"192.168.%d.%d","dst_port":%d,"in":"eth0"}`+"\n",
				n%250, n>>8%250, n>>16%256, 1024+n>>24%60000, n>>40%64, n>>46%256, 1+n>>54%1024)
		}
	})
}

func writeFile(path string, write func(io.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	write(w)
	if err := w.Flush(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
