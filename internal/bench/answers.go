package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// answer is the set of sockets that a command named, each as one key.
type answer map[string]bool

// reading makes the set of sockets out of a command's output.
type reading func(out []byte) (answer, error)

// listenerKey names a listener and one process that holds it.
func listenerKey(proto, local string, pid int) string {
	return proto + " " + local + " pid " + strconv.Itoa(pid)
}

var ssUser = regexp.MustCompile(`pid=(\d+)`)

// ssListeners reads ss -tlnp, and ss -tulnp with its column more.
func ssListeners(out []byte) (answer, error) {
	a := answer{}
	for line := range strings.Lines(string(out)) {
		proto, w := "tcp", strings.Fields(line)
		if len(w) > 0 && (w[0] == "tcp" || w[0] == "udp") {
			proto, w = w[0], w[1:]
		}
		if len(w) < 5 || w[0] != "LISTEN" && w[0] != "UNCONN" {
			continue
		}
		for _, m := range ssUser.FindAllStringSubmatch(line, -1) {
			pid, _ := strconv.Atoi(m[1])
			a[listenerKey(proto, w[3], pid)] = true
		}
	}
	return a, nil
}

// ssPairs reads ss -tanp: every socket by its two ends.
func ssPairs(out []byte) (answer, error) {
	a := answer{}
	for line := range strings.Lines(string(out)) {
		w := strings.Fields(line)
		if len(w) < 5 || w[0] == "State" {
			continue
		}
		a[w[3]+" "+strings.Replace(w[4], ":*", ":0", 1)] = true
	}
	return a, nil
}

var lsofLine = regexp.MustCompile(`^\S+\s+(\d+)\s.*\sTCP (\S+) \(LISTEN\)`)

// lsofListeners reads lsof -nP -iTCP -sTCP:LISTEN.
func lsofListeners(out []byte) (answer, error) {
	a := answer{}
	for line := range strings.Lines(string(out)) {
		if m := lsofLine.FindStringSubmatch(line); m != nil {
			pid, _ := strconv.Atoi(m[1])
			a[listenerKey("tcp", m[2], pid)] = true
		}
	}
	return a, nil
}

// netstatListeners reads net-tools' netstat -tlnp.
func netstatListeners(out []byte) (answer, error) {
	a := answer{}
	for line := range strings.Lines(string(out)) {
		w := strings.Fields(line)
		if len(w) < 7 || w[5] != "LISTEN" {
			continue
		}
		pid, _, _ := strings.Cut(w[6], "/")
		n, err := strconv.Atoi(pid)
		if err != nil {
			return nil, fmt.Errorf("netstat named no owner for %s", w[3])
		}
		a[listenerKey("tcp", w[3], n)] = true
	}
	return a, nil
}

// hostRow is what the bench reads of a row of portreeve host --json.
type hostRow struct {
	Proto, State string
	Addr         string `json:"addr"`
	Port         int
	PeerAddr     string `json:"peer_addr"`
	PeerPort     int    `json:"peer_port"`
	Processes    []struct{ PID int }
}

func hostRows(out []byte) ([]hostRow, error) {
	var doc struct {
		Schema  string
		Sockets []hostRow
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("read portreeve host --json: %w", err)
	}
	if doc.Schema != "portreeve.host/1" {
		return nil, fmt.Errorf("portreeve host --json has schema %q", doc.Schema)
	}
	return doc.Sockets, nil
}

// ourListeners reads portreeve host --json: the TCP listeners and holders.
func ourListeners(out []byte) (answer, error) { return ourSockets(out, "tcp") }

// ourTransports adds the UDP sockets.
func ourTransports(out []byte) (answer, error) { return ourSockets(out, "tcp", "udp") }

func ourSockets(out []byte, protos ...string) (answer, error) {
	rows, err := hostRows(out)
	a := answer{}
	for _, r := range rows {
		if !slices.Contains(protos, r.Proto) || r.State != "listen" && r.State != "unconnected" {
			continue
		}
		for _, p := range r.Processes {
			a[listenerKey(r.Proto, endpoint(r.Addr, r.Port), p.PID)] = true
		}
	}
	return a, err
}

// ourPairs reads portreeve host --all --json: every TCP socket.
func ourPairs(out []byte) (answer, error) {
	rows, err := hostRows(out)
	a := answer{}
	for _, r := range rows {
		if r.Proto == "tcp" {
			a[endpoint(r.Addr, r.Port)+" "+endpoint(r.PeerAddr, r.PeerPort)] = true
		}
	}
	return a, err
}

func endpoint(addr string, port int) string {
	if addr == "" {
		addr = "0.0.0.0"
	}
	if strings.Contains(addr, ":") {
		addr = "[" + addr + "]"
	}
	return addr + ":" + strconv.Itoa(port)
}

// ourOpenPorts reads portreeve audit --json: the TCP ports that answered.
func ourOpenPorts(out []byte) (answer, error) {
	var doc struct {
		Endpoints []struct {
			Proto string
			Port  int
			Views struct{ Network string }
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("read portreeve audit --json: %w", err)
	}
	a := answer{}
	for _, e := range doc.Endpoints {
		if e.Proto == "tcp" && e.Views.Network == "open" {
			a["tcp "+strconv.Itoa(e.Port)] = true
		}
	}
	return a, nil
}

var nmapOpen = regexp.MustCompile(`(?m)^(\d+)/tcp\s+open\s`)

// nmapOpenPorts reads nmap's normal output.
func nmapOpenPorts(out []byte) (answer, error) {
	a := answer{}
	for _, m := range nmapOpen.FindAllSubmatch(out, -1) {
		a["tcp "+string(m[1])] = true
	}
	return a, nil
}

// compare says how many sockets both name, or where they differ.
func compare(ours, theirs answer) (string, error) {
	if maps.Equal(ours, theirs) && len(ours) > 0 {
		return fmt.Sprintf("yes, %d", len(ours)), nil
	}
	return "", fmt.Errorf("answers differ: ours %d, theirs %d; only ours: %s; only theirs: %s",
		len(ours), len(theirs), only(ours, theirs), only(theirs, ours))
}

// only lists the first few keys of a that b lacks.
func only(a, b answer) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !b[k] {
			out = append(out, k)
		}
		if len(out) == 3 {
			break
		}
	}
	return strings.Join(out, ", ")
}
