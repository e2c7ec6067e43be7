package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSumUp(t *testing.T) {
	ms := time.Millisecond
	got := sumUp([]pair{{10 * ms, 80 * ms}, {20 * ms, 100 * ms}, {10 * ms, 90 * ms}})
	want := timing{ours: 10 * ms, theirs: 90 * ms, ratio: 8, least: 5, most: 9, rounds: 3}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median of four: %v", m)
	}
}

// The readers understand the tools' own words, and read the same sockets out
// of each.
func TestReadersAgree(t *testing.T) {
	want := answer{"tcp 127.0.0.1:2001 pid 7": true, "tcp 127.0.0.1:2001 pid 8": true, "tcp [::1]:22 pid 9": true}
	cases := []struct {
		name string
		read reading
		out  string
	}{
		{"ss", ssListeners, "State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n" +
			"LISTEN 0      4096   127.0.0.1:2001 0.0.0.0:* users:((\"a b\",pid=7,fd=3),(\"c\",pid=8,fd=3))\n" +
			"LISTEN 0      128    [::1]:22       [::]:*    users:((\"sshd\",pid=9,fd=4))\n"},
		{"ss -tulnp", ssListeners, "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n" +
			"tcp   LISTEN 0      4096   127.0.0.1:2001 0.0.0.0:* users:((\"a b\",pid=7,fd=3),(\"c\",pid=8,fd=3))\n" +
			"tcp   LISTEN 0      128    [::1]:22       [::]:*    users:((\"sshd\",pid=9,fd=4))\n"},
		{"lsof", lsofListeners, "COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME\n" +
			"a         7 root 3u IPv4 1 0t0 TCP 127.0.0.1:2001 (LISTEN)\n" +
			"c         8 root 3u IPv4 1 0t0 TCP 127.0.0.1:2001 (LISTEN)\n" +
			"sshd      9 root 4u IPv6 2 0t0 TCP [::1]:22 (LISTEN)\n"},
		{"ours", ourListeners, `{"schema":"portreeve.host/1","sockets":[
			{"proto":"tcp","state":"listen","addr":"127.0.0.1","port":2001,"processes":[{"pid":7},{"pid":8}]},
			{"proto":"tcp","state":"listen","addr":"::1","port":22,"processes":[{"pid":9}]},
			{"proto":"udp","state":"unconnected","addr":"::1","port":53,"processes":[{"pid":9}]},
			{"proto":"tcp","state":"established","addr":"::1","port":22,"processes":[{"pid":10}]}]}`},
	}
	for _, c := range cases {
		got, err := c.read([]byte(c.out))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestReaders(t *testing.T) {
	cases := []struct {
		name string
		read reading
		out  string
		want answer
	}{
		{"netstat", netstatListeners, "Proto Recv-Q Send-Q Local Address Foreign Address State PID/Program name\n" +
			"tcp        0      0 127.0.0.1:2001  0.0.0.0:*  LISTEN  7/a b\n", answer{"tcp 127.0.0.1:2001 pid 7": true}},
		{"ss pairs", ssPairs, "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nLISTEN 0 128 127.0.0.1:80 0.0.0.0:* users\nESTAB 0 0 127.0.0.1:80 127.0.0.1:4000 users\n",
			answer{"127.0.0.1:80 0.0.0.0:0": true, "127.0.0.1:80 127.0.0.1:4000": true}},
		{"our pairs", ourPairs, `{"schema":"portreeve.host/1","sockets":[
			{"proto":"tcp","state":"listen","addr":"127.0.0.1","port":80,"peer_port":0},
			{"proto":"tcp","state":"established","addr":"127.0.0.1","port":80,"peer_addr":"127.0.0.1","peer_port":4000}]}`,
			answer{"127.0.0.1:80 0.0.0.0:0": true, "127.0.0.1:80 127.0.0.1:4000": true}},
		{"nmap", nmapOpenPorts, "PORT   STATE  SERVICE\n22/tcp open   ssh\n23/tcp closed telnet\n", answer{"tcp 22": true}},
		{"audit", ourOpenPorts, `{"endpoints":[{"proto":"tcp","port":22,"views":{"network":"open"}},{"proto":"tcp","port":23,"views":{"network":"closed"}},{"proto":"udp","port":53,"views":{"network":"open"}}]}`,
			answer{"tcp 22": true}},
	}
	for _, c := range cases {
		got, err := c.read([]byte(c.out))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestCompareRefusesAWrongAnswer(t *testing.T) {
	a, b := answer{"x": true}, answer{"x": true, "y": true}
	if _, err := compare(a, b); err == nil || !strings.Contains(err.Error(), "only theirs: y") {
		t.Errorf("a missing socket: %v", err)
	}
	if _, err := compare(answer{}, answer{}); err == nil {
		t.Error("two empty answers are no agreement")
	}
	if _, err := ourListeners([]byte(`{"schema":"other/1"}`)); err == nil {
		t.Error("a document of another schema was taken")
	}
}

// A run of one section leaves the others as they were, in the order of the
// sections.
func TestMergeKeepsOtherSections(t *testing.T) {
	order := []string{"host", "audit"}
	page := writePage(merge(nil, []block{{"audit", "## a\n"}, {"later", "## l\n"}}, order))
	page = writePage(merge(readBlocks(page), []block{{"host", "## h\n"}, {"audit", "## a2\n"}}, order))
	want := []block{{"host", "## h\n"}, {"audit", "## a2\n"}, {"later", "## l\n"}}
	if diff := cmp.Diff(want, readBlocks(page), cmp.AllowUnexported(block{})); diff != "" {
		t.Error(diff)
	}
	if again := writePage(readBlocks(page)); again != page {
		t.Error("reading and writing changes the page")
	}
}

func TestRowsAndGoals(t *testing.T) {
	r := row{
		what: "w", ours: "o", theirs: "t", answers: "yes, 3", oursKiB: 70 << 10, theirsKiB: 3 << 10,
		timing: timing{ours: 50 * time.Millisecond, theirs: time.Second, ratio: 20, least: 18, most: 22, rounds: 5},
		goal:   goal{ratio: 8, within: 40 * time.Millisecond, peakKiB: 64 << 10},
	}
	got := result{situation: "S.", rows: []row{r}, notes: []string{"n"}}.markdown()
	want := "| w | `o` | `t` | 50 ms | 1 s | 20 (18–22, 5 rounds) | 70 MiB | 3 MiB | yes, 3 | ≥ 8× met, ≤ 40 ms missed, ≤ 64 MiB missed |\n"
	if !strings.Contains(got, want) {
		t.Errorf("row is missing in:\n%s\nwant\n%s", got, want)
	}
}

func TestChoose(t *testing.T) {
	if _, err := choose("no-such"); err == nil {
		t.Error("an unknown section was chosen")
	}
	all, err := choose("")
	if err != nil || len(all) != len(sections()) {
		t.Errorf("all sections: %v, %v", all, err)
	}
}
