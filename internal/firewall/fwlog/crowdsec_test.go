package fwlog

import (
	"bufio"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// crowdsecHub holds logs and what CrowdSec's parsers say of them
// (https://github.com/crowdsecurity/hub, MIT), read in place.
const crowdsecHub = "../../../../shared/fixtures/firewall-logs/crowdsec-hub/.tests"

// TestCrowdSec compares every line that both read.
func TestCrowdSec(t *testing.T) {
	for folder, parser := range map[string]string{
		"iptables-logs":         "crowdsecurity/iptables-logs",
		"proxmox-iptables-logs": "aderumier/proxmox-iptables-logs", // reads denials only
		"unifi-logs":            "crowdsecurity/iptables-logs",
		"mikrotik-logs":         "a1ad/mikrotik-logs",
		"pf-logs":               "firewallservices/pf-logs",
	} {
		t.Run(folder, func(t *testing.T) {
			says := crowdsecSays(t, filepath.Join(crowdsecHub, folder, "parser.assert"), parser)
			crowdsecFolder(t, filepath.Join(crowdsecHub, folder), says)
		})
	}
}

func crowdsecFolder(t *testing.T, folder string, says map[int]map[string]string) {
	p := New(Options{Now: readAt})
	var e Event
	compared := 0
	for i, l := range crowdsecLog(t, folder) {
		is := p.Read(l, &e)
		want := says[i]
		switch {
		case want["dst_ip"] == "":
		case !is:
			t.Errorf("line %d: no event: %s", i+1, l)
		default:
			compared++
			crowdsecLine(t, i+1, want, &e)
		}
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// TestCrowdSecDeclines: lines that are no event to CrowdSec either, beside
// some that are.
func TestCrowdSecDeclines(t *testing.T) {
	for folder, events := range map[string][]bool{
		"iptables-logs": {true, true, false, true},
		"unifi-logs":    {true, true, true, false},
		"mikrotik-logs": {true, true, false, true, true, true, true},
		"mikrotik-bf":   {false, false, false, false, false, false, false, false},
	} {
		p := New(Options{Now: readAt})
		var e Event
		for i, l := range crowdsecLog(t, filepath.Join(crowdsecHub, folder)) {
			if is := p.Read(l, &e); is != events[i] {
				t.Errorf("%s line %d: event %t, want %t", folder, i+1, is, events[i])
			}
		}
	}
}

// TestCrowdSecScans: each line of these logs is an event, and the sources are
// those in which CrowdSec's scenarios saw scanners.
func TestCrowdSecScans(t *testing.T) {
	source := regexp.MustCompile(`GetMeta\("source_ip"\) == "([^"]+)"`)
	for _, folder := range []string{"iptables-scan-multi-port", "pf-scan-multi-port", "mikrotik-scan-multi_ports", "pfsense-rfc5424-filterlog"} {
		p := New(Options{Now: readAt})
		var e Event
		sources := map[string]bool{}
		for i, l := range crowdsecLog(t, filepath.Join(crowdsecHub, folder)) {
			if !p.Read(l, &e) || !e.HasPorts {
				t.Errorf("%s line %d: %s", folder, i+1, l)
			}
			sources[e.Src.String()] = true
		}
		said, err := os.ReadFile(filepath.Join(crowdsecHub, folder, "scenario.assert"))
		if err != nil && folder != "pfsense-rfc5424-filterlog" {
			t.Fatal(err)
		}
		for _, m := range source.FindAllSubmatch(said, -1) {
			if !sources[string(m[1])] {
				t.Errorf("%s: source %s was not seen", folder, m[1])
			}
		}
	}
}

func crowdsecLog(t *testing.T, folder string) [][]byte {
	logs, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%s: logs %v, %v", folder, logs, err)
	}
	return nonEmpty(corpusLines(t, logs[0]))
}

func nonEmpty(lines [][]byte) (some [][]byte) {
	for _, l := range lines {
		if len(l) > 0 {
			some = append(some, l)
		}
	}
	return some
}

func crowdsecLine(t *testing.T, line int, want map[string]string, e *Event) {
	text := func(n uint16) string { return strconv.Itoa(int(n)) }
	got := map[string]string{
		"src_ip": e.Src.String(), "source_ip": e.Src.String(), "dst_ip": e.Dst.String(),
		"src_port": text(e.SrcPort), "dst_port": text(e.DstPort),
	}
	for key, is := range got {
		if w, ok := want[key]; ok && w != is {
			if a, err := netip.ParseAddr(w); err == nil && a.String() == is {
				continue
			}
			t.Errorf("line %d: %s is %s, CrowdSec says %s", line, key, is, w)
		}
	}
	if n, ok := parseProto([]byte(strings.ToLower(want["proto"]))); ok && (!e.HasProto || e.Proto != n) {
		t.Errorf("line %d: protocol %d, CrowdSec says %s", line, e.Proto, want["proto"])
	}
	if a := prefixAction([]byte(want["action"])); a != NoAction && a != e.Action {
		t.Errorf("line %d: action %q, CrowdSec says %s", line, e.Action, want["action"])
	}
	for _, key := range []string{"iface", "int_eth", "if_in"} {
		w := want[key]
		if w == "" || want["vmid"] != "" && key == "int_eth" || // Proxmox: the chain's, not the packet's
			strings.HasPrefix(w, "(unknown") {
			continue
		}
		if string(e.In) != w && string(e.Out) != w {
			t.Errorf("line %d: interfaces %q and %q, CrowdSec says %s", line, e.In, e.Out, w)
		}
	}
}

// crowdsecSays reads what parser.assert says of each line: the fields that
// the parser of that name parsed.
func crowdsecSays(t *testing.T, file, parser string) map[int]map[string]string {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	field := regexp.MustCompile(`^results\["s01-parse"\]\["` + regexp.QuoteMeta(parser) +
		`"\]\[(\d+)\]\.(?:Evt\.(?:Parsed|Meta)\["(\w+)"\]|(Success)) == (.*)$`)
	says := map[int]map[string]string{}
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		m := field.FindStringSubmatch(scan.Text())
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1])
		if says[n] == nil {
			says[n] = map[string]string{}
		}
		value := m[4]
		if s, err := strconv.Unquote(value); err == nil {
			value = s
		}
		says[n][strings.ToLower(m[2]+m[3])] = value
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return says
}
