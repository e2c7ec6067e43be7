package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each reader takes the same finding out of its scanner's own words.
func TestScannersAgree(t *testing.T) {
	want := answer{"tcp 10.88.0.2:22": true, "udp 10.88.0.3:53": true}
	cases := []struct {
		name   string
		read   func([]byte) (finding, error)
		out    string
		closed int
	}{
		{"ours", ourScan, `{"schema":"portreeve.scan/1","hosts":[
			{"addr":"10.88.0.2","ports":[{"port":22,"proto":"tcp","state":"open"},{"port":23,"proto":"tcp","state":"closed"}],"states":{"filtered":9,"closed":2}},
			{"addr":"10.88.0.3","ports":[{"port":53,"proto":"udp","state":"open"},{"port":54,"proto":"udp","state":"open|filtered"}],"states":{}}]}`, 3},
		{"nmap", nmapScan, "Starting Nmap 7.93\nNmap scan report for 10.88.0.2\nHost is up (0.1s latency).\nNot shown: 9 filtered tcp ports (no-response), 2 closed tcp ports (reset)\n" +
			"PORT   STATE SERVICE\n22/tcp open  ssh\n23/tcp closed telnet\n\n" +
			"Nmap scan report for 10.88.0.3\nPORT   STATE SERVICE\n53/udp open          domain\n54/udp open|filtered xns-ch\n", 3},
		{"masscan", masscanScan, "Discovered open port 22/tcp on 10.88.0.2                                       \r\n" +
			"Discovered open port 22/tcp on 10.88.0.2   \nDiscovered open port 53/udp on 10.88.0.3\n", 0},
	}
	for _, c := range cases {
		got, err := c.read([]byte(c.out))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(want, got.open); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if got.closed != c.closed {
			t.Errorf("%s: closed %d, want %d", c.name, got.closed, c.closed)
		}
	}
}

func TestOurScanTellsItsStatistics(t *testing.T) {
	f, err := ourScan([]byte(`{"schema":"portreeve.scan/1","stats":{"sent":600,"seconds":2,"loss":{"estimate":0.2}}}`))
	if err != nil || f.sent != 600 || f.seconds != 2 || f.loss != 0.2 {
		t.Errorf("%+v, %v", f, err)
	}
	if rate := (trial{said: f}).ownRate(); rate != 300 {
		t.Errorf("rate %v", rate)
	}
	if _, err := ourScan([]byte(`{"schema":"other/1"}`)); err == nil {
		t.Error("a document of another schema was taken")
	}
	if _, err := nmapScan([]byte("Failed to resolve\n")); err == nil {
		t.Error("nmap without a host was taken for a finding")
	}
}

// A name from a table of ports is no recognition, in either tool.
func TestServicesAgree(t *testing.T) {
	want := map[int]service{22: {"ssh", "OpenSSH", "9.2p1"}}
	ours, err := ourServices([]byte(`{"schema":"portreeve.scan/1","hosts":[{"addr":"10.88.0.2","ports":[
		{"port":22,"state":"open","service":{"name":"ssh","product":"OpenSSH","version":"9.2p1","via":"banner"}},
		{"port":80,"state":"open","service":{"name":"http","via":"table"}}]}]}`))
	if diff := cmp.Diff(want, ours, cmp.AllowUnexported(service{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	nmap, err := nmapServices([]byte(`<nmaprun><host><ports>
		<port protocol="tcp" portid="22"><state state="open"/><service name="ssh" product="OpenSSH" version="9.2p1" method="probed"/></port>
		<port protocol="tcp" portid="80"><state state="open"/><service name="http" method="table"/></port></ports></host></nmaprun>`))
	if diff := cmp.Diff(want, nmap, cmp.AllowUnexported(service{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestJudge(t *testing.T) {
	truth := answer{"a": true, "b": true, "c": true}
	got := judge(truth, answer{"a": true, "c": true, "x": true})
	if got.found != 2 || got.wrongs != 1 || !cmp.Equal(got.missed, []string{"b"}) || !cmp.Equal(got.wrong, []string{"x"}) {
		t.Errorf("%+v", got)
	}
	if s := got.String(); !strings.Contains(s, "MISSED b") || !strings.Contains(s, "WRONG 1: x") {
		t.Errorf("the log hides mistakes: %s", s)
	}
}

// A wrong open spoils a run as a missed one does, and the table says so.
func TestHuntGridShowsMistakes(t *testing.T) {
	run := func(took time.Duration, found, wrong int) trial {
		return trial{took: took, peakKiB: 2048, found: found, wrongs: wrong}
	}
	sides := []trials{
		{what: "ours", shown: "o", runs: []trial{run(time.Second, 3, 0), run(time.Second, 3, 1), run(time.Second, 2, 0)}},
		{what: "slow", shown: "s", runs: []trial{run(2*time.Second, 3, 0), run(4*time.Second, 3, 0)}},
		{what: "endless", shown: "e", runs: []trial{{took: 3 * time.Minute, unfinished: true}}},
	}
	got := huntGrid(3, sides, spread("loss", "%.2g", trial.lossShare)).rows
	want := [][]string{
		{"ours", "`o`", "1 s", "–", "2 MiB", "1 of 3 runs", "2.66667 (2)", "1", "–"},
		{"slow", "`s`", "3 s", "3 (2–4, 2 rounds)", "2 MiB", "2 of 2 runs", "3 (3)", "0", "–"},
		{"endless", "`e`", "more than 180 s", "–", "–", "ended, not done", "–", "0", "–"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if g := everyPort(sides[0], 3); g.met || g.String() != "all 3 open ports in every run: 1 of 3: **missed**" {
		t.Errorf("%v", g)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 131072: "131,072", 1048576: "1,048,576"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestDaemonTable(t *testing.T) {
	list, err := parseDaemons(daemonTable)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]string{}
	for _, d := range list {
		if !strings.Contains(d.script, "\nexec ") && !strings.HasPrefix(d.script, "exec ") {
			t.Errorf("%s: its last line does not become the daemon", d.program)
		}
		for _, p := range d.ports {
			if seen[p.port] != "" {
				t.Errorf("%s and %s are both at %d", seen[p.port], d.program, p.port)
			}
			seen[p.port] = d.program
		}
	}
	if len(seen) != 14 {
		t.Errorf("%d endpoints, want 14", len(seen))
	}
	for _, wrong := range []string{"== x y 22 z\n", "== x y 22=ssh\n", "== x y 22=ssh (\n"} {
		if _, err := parseDaemons("\n" + wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestVersions(t *testing.T) {
	for debian, want := range map[string]string{"1:9.2p1-2+deb12u10": "9.2p1", "1:2.3.19.1+dfsg1-2.1": "2.3.19.1", "3.0.3-13+b2": "3.0.3", "5:7.0.15-1~deb12u10": "7.0.15"} {
		if got := upstream(debian); got != want {
			t.Errorf("%s: %s", debian, got)
		}
	}
	d := daemon{version: "{v}"}
	for said, want := range map[string]bool{"1.4.6": true, "1.4.6 Debian 2": true, "5.5.5-1.4.6-MariaDB": true, "1.4.69": false, "11.4.6": false, "2.1.4.6": false, "1.4": false, "": false} {
		if got := d.rightVersion(service{version: said}, "1.4.6"); got != want {
			t.Errorf("%q: %v", said, got)
		}
	}
	if (daemon{version: "-"}).rightVersion(service{version: "1"}, "1") {
		t.Error("a version that cannot be told was counted")
	}
}

// Every service of the table answers its own question and no other's.
func TestDatagramServices(t *testing.T) {
	asks := map[string]string{
		"dns":      "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01",
		"nbns":     "\x12\x34\x00\x10\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x21\x00\x01",
		"rpcbind":  "\x12\x34\x56\x78\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa0\x00\x00\x00\x02" + strings.Repeat("\x00", 20),
		"ntp":      "\xe3" + strings.Repeat("\x00", 47),
		"snmp":     "\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x00",
		"ike":      "initiate" + strings.Repeat("\x00", 8) + "\x01\x10\x02\x00" + strings.Repeat("\x00", 8),
		"ipmi":     "\x06\x00\xff\x06\x00\x00\x11\xbe\x80\x00\x00\x00",
		"ms-sql-m": "\x02",
		"ssdp":     "M-SEARCH * HTTP/1.1\r\n\r\n",
		"stun":     "\x00\x01\x00\x00\x21\x12\xa4\x42" + strings.Repeat("a", 12),
		"sip":      "OPTIONS sip:a SIP/2.0\r\nVia: v\r\nCSeq: 1 OPTIONS\r\n\r\n",
		"coap":     "\x40\x01\x12\x34\xbb.well-known",
		"memcache": "\x00\x01\x00\x00\x00\x01\x00\x00version\r\n",
	}
	for _, s := range datagramServices() {
		if a := s.answer([]byte(asks[s.name])); len(a) == 0 || string(a) == asks[s.name] {
			t.Errorf("%s at %d does not answer its own question: %q", s.name, s.port, a)
		}
		for _, other := range []string{"", "\x00", "\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"} {
			if s.answer([]byte(other)) != nil && s.name != "dns" && s.name != "nbns" {
				t.Errorf("%s answers %q", s.name, other)
			}
		}
	}
}

func FuzzDatagramServices(f *testing.F) {
	f.Add([]byte("\x30\x26\x02\x01\x01\x04\x06public\xa0"))
	f.Add([]byte("\x4f\x01\x12\x34"))
	f.Add([]byte("\x06\x00\xff\x06\x00"))
	f.Fuzz(func(_ *testing.T, q []byte) {
		for _, s := range datagramServices() {
			s.answer(append([]byte(nil), q...))
		}
	})
}
