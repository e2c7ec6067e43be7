package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

func addr16(s string) [16]byte { return netip.MustParseAddr(s).As16() }

func countsOf(packets, bytesTo, bytesFrom, flows uint64) flow.Counts {
	return flow.Counts{Packets: packets, PacketsTo: packets / 2, PacketsFrom: packets - packets/2, Bytes: bytesTo + bytesFrom,
		BytesTo: bytesTo, BytesFrom: bytesFrom, Flows: flows, First: 1e18, Last: 1e18 + 5e9}
}

// pageTraffic has a row of every kind: usual, agreed in band, with a hostile
// name, with other words than the port's, of protocols without ports.
func pageTraffic() Traffic {
	return Traffic{
		Taken: time.Unix(1e9, 0).UTC(), Host: "web-01", Source: "web.pcap", From: time.Unix(1e9, 0), To: time.Unix(1e9+61, 250e6),
		Quality: flow.Quality{Packets: 1234567, Bytes: 987654321, Flows: 4321, Truncated: 12, Fragments: 7, Duplicates: 3, Conversations: 4000, OneSidedFlows: 2},
		Lost:    capture.Stats{Received: 1234600, Dropped: 33, Known: true},
		Notes:   []string{"a note that is long enough to need a second line on a page of eighty columns, with a " + hostile},
		Service: func(proto uint8, port uint16) string {
			return map[uint16]string{443: "https", 53: "domain", 2222: hostile, 8: "echo-request"}[port]
		},
		Ports: []flow.PortRow{
			{Proto: 6, Port: 443, Counts: countsOf(1000000, 12345678, 912345678, 4000), Clients: 65536, Servers: 12, AtLeast: true},
			{Proto: 17, Port: 53, Counts: countsOf(2468, 99950, 999499, 300), Clients: 20, Servers: 2},
			{Proto: 6, Port: 40404, Counts: countsOf(20, 999, 1000, 1), Clients: 1, Servers: 1},
			{Proto: 6, Port: 50123, Counts: countsOf(20, 64, 1500, 2), Clients: 1, Servers: 1, Label: "ftp-data"},
			{Proto: 6, Port: 2222, Counts: countsOf(3, 180, 0, 1), Clients: 1, Servers: 1},
			{Proto: 1, Port: 8, Counts: countsOf(2, 98, 98, 1), Clients: 1, Servers: 1},
			{Proto: 47, Counts: countsOf(2, 98, 0, 1), Clients: 1, Servers: 1},
			{Proto: 136, Port: 65535, Counts: countsOf(1, 50, 0, 1), Clients: 1, Servers: 1},
		},
	}
}

func pagePairs() Traffic {
	t := pageTraffic()
	t.By, t.Ports, t.Notes = "pair", nil, nil
	t.Rest = countsOf(5, 5, 5, 1)
	t.Pairs = []flow.PairRow{
		{Client: addr16("2001:db8:1234:5678:9abc:def0:1111:2222"), Server: addr16("2001:db8:1234:5678:9abc:def0:1111:3333"), Counts: countsOf(1000, 5000, 1e6, 4), Ports: []flow.PortOf{{Proto: 6, Port: 443}}},
		{Client: addr16("10.0.0.1"), Server: addr16("10.0.0.2"), Counts: countsOf(100, 5000, 1e4, 40), Ports: []flow.PortOf{{Proto: 6, Port: 22}, {Proto: 17, Port: 53}, {Proto: 1, Port: 8}, {Proto: 47}, {Proto: 6}}, MorePorts: true},
		{Client: addr16("::ffff:255.255.255.255"), Server: addr16("fe80::1"), Counts: countsOf(1, 60, 0, 1)},
	}
	return t
}

func smallTraffic(by string) Traffic {
	t := Traffic{Source: "a\x1b[2J.pcap", Quality: flow.Quality{Packets: 1, Bytes: 60, Flows: 1, Conversations: 1, OneSidedFlows: 1}, By: by, From: time.Unix(1, 0), To: time.Unix(1, 0)}
	if by == "pair" {
		t.Pairs = pagePairs().Pairs[2:]
		return t
	}
	t.Ports = pageTraffic().Ports[7:]
	return t
}

func crowd() Traffic {
	t := smallTraffic("port")
	for i := range 40 {
		t.Ports = append(t.Ports, flow.PortRow{Proto: 6, Port: uint16(i), Counts: countsOf(1, 50, 0, 1), Clients: 1, Servers: 1})
	}
	return t
}

// golden compares a page with its file; -update rewrites it.
func golden(t *testing.T, file, page string) {
	t.Helper()
	file = "testdata/" + file + ".txt"
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("%s differs; look at the page and update:\n%s", file, page)
	}
}

// The pages as people see them.
func TestTrafficPages(t *testing.T) {
	for _, c := range []struct {
		file string
		t    Traffic
		st   Style
	}{
		{"traffic-ports-80", pageTraffic(), Style{Width: 80}},
		{"traffic-ports", pageTraffic(), Style{}},
		{"traffic-pairs-80", pagePairs(), Style{Width: 80}},
		{"traffic-pairs", pagePairs(), Style{}},
		{"traffic-one", smallTraffic("port"), Style{Width: 80}},
		{"traffic-one-pair", smallTraffic("pair"), Style{Width: 80}},
		{"traffic-crowd", crowd(), Style{Width: 80}},
		{"traffic-empty", Traffic{Source: "empty.pcap"}, Style{Width: 80}},
	} {
		var b bytes.Buffer
		if err := TrafficText(&b, &c.t, c.st); err != nil {
			t.Fatal(err)
		}
		golden(t, c.file, b.String())
		width := c.st.Width
		if width == 0 {
			width = 1 << 20
		}
		checkPage(t, b.String(), width)
	}
	var b bytes.Buffer
	all := crowd()
	if err := TrafficText(&b, &all, Style{Width: 80, Verbose: true}); err != nil || strings.Count(b.String(), "/tcp") != 40 || strings.Contains(b.String(), "more") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// size keeps three digits and never says 1000 of a unit.
func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 9994: "9.99 kB", 9995: "10.0 kB", 99949: "99.9 kB", 99950: "100 kB",
		999499: "999 kB", 999500: "1.00 MB", 1e9: "1.00 GB", 18446744073709551615: "18.4 EB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// anyJSON reads a document without losing digits.
func anyJSON(t *rapid.T, doc []byte) any {
	t.Helper()
	if !utf8.Valid(doc) {
		t.Fatalf("no UTF-8: %q", doc)
	}
	for _, r := range string(doc) {
		if r != '\n' && obeyed(r) {
			t.Fatalf("%U stands raw in %s", r, doc)
		}
	}
	return readJSON(t, doc)
}

func readJSON(t *rapid.T, doc []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	if d.More() {
		t.Fatalf("more than one value in %s", doc)
	}
	return out
}

// sameJSON compares a document of the fast writers with what encoding/json
// says of the naive twin.
func sameJSON(t *rapid.T, fast []byte, twin any) {
	t.Helper()
	slow, err := json.Marshal(twin)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(readJSON(t, slow), anyJSON(t, fast)); d != "" {
		t.Fatalf("(-twin +fast):\n%s", d)
	}
}

type object = map[string]any

func momentOf(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
}

func ipOf(a [16]byte) string { return wire.Addr(a).String() }

func protoOf(p uint8) string {
	if name, ok := map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmp6", 132: "sctp", 136: "udplite"}[p]; ok {
		return name
	}
	return fmt.Sprint(p)
}

func tunnelNames(ts []wire.Tunnel) (out []string) {
	for _, t := range ts {
		out = append(out, t.String())
	}
	return out
}

var (
	protoGen = rapid.OneOf(rapid.SampledFrom([]uint8{1, 6, 17, 33, 58, 132, 136}), rapid.Uint8())
	ipGen    = rapid.Custom(func(t *rapid.T) [16]byte {
		a := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip"))
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			copy(a[:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
		case 1:
			clear(a[2:14])
		}
		return a
	})
	wordGen = rapid.OneOf(rapid.SampledFrom([]string{"", "http", hostile}), rapid.String())
)

func countsGen(t *rapid.T) flow.Counts {
	n := rapid.Uint64()
	return flow.Counts{Packets: n.Draw(t, "p"), Bytes: n.Draw(t, "b"), PacketsTo: n.Draw(t, "pt"), PacketsFrom: n.Draw(t, "pf"), BytesTo: n.Draw(t, "bt"),
		BytesFrom: n.Draw(t, "bf"), Flows: n.Draw(t, "f"), First: rapid.Int64().Draw(t, "first"), Last: rapid.Int64().Draw(t, "last")}
}

func countsTwin(o object, c flow.Counts) object {
	o["packets"], o["bytes"], o["flows"] = c.Packets, c.Bytes, c.Flows
	o["packets_to"], o["packets_from"], o["bytes_to"], o["bytes_from"] = c.PacketsTo, c.PacketsFrom, c.BytesTo, c.BytesFrom
	o["first"], o["last"] = momentOf(c.First), momentOf(c.Last)
	return o
}

func flowGen(t *rapid.T) flow.Flow {
	n, port := rapid.Uint64(), rapid.Uint16()
	f := flow.Flow{Proto: protoGen.Draw(t, "proto"), Client: ipGen.Draw(t, "client"), Server: ipGen.Draw(t, "server"), ClientPort: port.Draw(t, "cp"), ServerPort: port.Draw(t, "sp"),
		PacketsToServer: n.Draw(t, "pts"), PacketsToClient: n.Draw(t, "ptc"), BytesToServer: n.Draw(t, "bts"), BytesToClient: n.Draw(t, "btc"),
		First: rapid.Int64().Draw(t, "first"), Last: rapid.Int64().Draw(t, "last"), History: rapid.StringMatching(`[SHADFRCTsahdfrct^]{0,20}`).Draw(t, "history"),
		State: flow.State(rapid.IntRange(0, 12).Draw(t, "state")), OrientedBy: flow.Orientation(rapid.IntRange(0, 4).Draw(t, "by")),
		HasVLAN: rapid.Bool().Draw(t, "tagged"), VLAN: port.Draw(t, "vlan"), Depth: rapid.Uint8Max(9).Draw(t, "depth"),
		Refused: rapid.Uint32Max(3).Draw(t, "refused"), RefusedType: 3, RefusedCode: 1, Label: wordGen.Draw(t, "label")}
	for i := range f.Tunnels {
		f.Tunnels[i] = wire.Tunnel(rapid.IntRange(0, 17).Draw(t, "tunnel"))
	}
	return f
}

// A flow's line says what encoding/json says of the same flow.
func TestFlowJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, service := flowGen(t), wordGen.Draw(t, "service")
		twin := object{"proto": protoOf(f.Proto), "client": ipOf(f.Client), "client_port": f.ClientPort, "server": ipOf(f.Server), "server_port": f.ServerPort,
			"packets_to_server": f.PacketsToServer, "packets_to_client": f.PacketsToClient, "bytes_to_server": f.BytesToServer, "bytes_to_client": f.BytesToClient,
			"first": momentOf(f.First), "last": momentOf(f.Last), "history": f.History, "state": f.State.String(), "oriented_by": f.OrientedBy.String()}
		if f.HasVLAN {
			twin["vlan"] = f.VLAN & 0xfff
		}
		if service != "" {
			twin["service"] = service
		}
		if f.Label != "" {
			twin["negotiated"] = f.Label
		}
		if f.Refused > 0 {
			twin["refused"], twin["refused_type"], twin["refused_code"] = f.Refused, 3, 1
		}
		if f.Depth > 0 {
			twin["tunnels"] = tunnelNames(f.Tunnels[:min(6, f.Depth)])
		}
		line := AppendFlowJSON([]byte("before\n"), &f, service)
		if !bytes.HasPrefix(line, []byte("before\n")) || bytes.Count(line, []byte("\n")) != 2 || line[len(line)-1] != '\n' {
			t.Fatalf("no line: %q", line)
		}
		sameJSON(t, line[7:], twin)
	})
}

// The document says what encoding/json says of the same rows.
func TestTrafficJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := Traffic{Taken: time.Unix(1e9, 0).UTC(), Host: wordGen.Draw(t, "host"), Source: wordGen.Draw(t, "source"), By: rapid.SampledFrom([]string{"port", "pair"}).Draw(t, "by"),
			Quality: flow.Quality{Packets: rapid.Uint64().Draw(t, "packets"), Flows: 7, Giants: 1}, Lost: capture.Stats{Dropped: 3, IfDropped: 4, Known: rapid.Bool().Draw(t, "known")}}
		if rapid.Bool().Draw(t, "gap") {
			tr.Gaps = []exposure.Gap{{View: "traffic", Why: wordGen.Draw(t, "why")}}
		}
		if rapid.Bool().Draw(t, "named") {
			tr.Service = func(_ uint8, port uint16) string { return fmt.Sprintf("p%d %s", port, hostile) }
		}
		portRows, pairRows := []object{}, []object{}
		for range rapid.IntRange(0, 3).Draw(t, "rows") {
			r := flow.PortRow{Proto: protoGen.Draw(t, "proto"), Port: rapid.Uint16().Draw(t, "port"), Counts: countsGen(t), Clients: rapid.Uint64().Draw(t, "clients"),
				Servers: 2, AtLeast: rapid.Bool().Draw(t, "more"), Label: wordGen.Draw(t, "label")}
			tr.Ports = append(tr.Ports, r)
			portRows = append(portRows, portTwin(&tr, &r))
			p := flow.PairRow{Client: ipGen.Draw(t, "c"), Server: ipGen.Draw(t, "s"), Counts: countsGen(t), MorePorts: rapid.Bool().Draw(t, "more ports")}
			names := []string{}
			for range rapid.IntRange(0, 3).Draw(t, "ports") {
				o := flow.PortOf{Proto: protoGen.Draw(t, "pp"), Port: rapid.Uint16().Draw(t, "pn")}
				p.Ports, names = append(p.Ports, o), append(names, fmt.Sprintf("%s/%d", protoOf(o.Proto), o.Port))
			}
			tr.Pairs = append(tr.Pairs, p)
			twin := countsTwin(object{"client": ipOf(p.Client), "server": ipOf(p.Server), "ports": names}, p.Counts)
			if p.MorePorts {
				twin["more_ports"] = true
			}
			pairRows = append(pairRows, twin)
		}
		var b bytes.Buffer
		if err := TrafficJSON(&b, &tr); err != nil {
			t.Fatal(err)
		}
		doc := anyJSON(t, b.Bytes()).(map[string]any)
		key, rows := "ports", portRows
		if tr.By == "pair" {
			key, rows = "pairs", pairRows
		}
		slow, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(readJSON(t, slow), doc[key]); d != "" {
			t.Fatalf("(-twin +fast):\n%s", d)
		}
		q := doc["quality"].(map[string]any)
		if doc["taken"] != "2001-09-09T01:46:40.000000000Z" || doc["schema"] != "portreeve.traffic/1" || fmt.Sprint(q["packets"]) != fmt.Sprint(tr.Quality.Packets) || fmt.Sprint(q["dropped"]) != "7" || q["dropped_known"] != tr.Lost.Known ||
			len(doc["incomplete"].([]any)) != len(tr.Gaps) {
			t.Fatalf("%s", b.Bytes())
		}
	})
}

func portTwin(tr *Traffic, r *flow.PortRow) object {
	twin := countsTwin(object{"proto": protoOf(r.Proto), "port": r.Port, "clients": r.Clients, "servers": r.Servers, "service": ""}, r.Counts)
	if tr.Service != nil {
		twin["service"] = tr.Service(r.Proto, r.Port)
	}
	if r.AtLeast {
		twin["at_least"] = true
	}
	if r.Label != "" {
		twin["negotiated"], twin["service"] = r.Label, r.Label
	}
	return twin
}

// Times are written by hand; they are what package time says.
func TestAppendNanosIsRFC3339(t *testing.T) {
	check := func(ns int64) string {
		want := `"t":"` + time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + `",`
		if got := string(appendNanos(nil, "t", ns)); got != want {
			return fmt.Sprintf("%d: %s, want %s", ns, got, want)
		}
		return ""
	}
	for _, ns := range []int64{0, -1, 1, -1e9, -1e9 - 1, 1<<63 - 1, -1 << 63, 951782400e9 - 1, 951782400e9} {
		if wrong := check(ns); wrong != "" {
			t.Error(wrong)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if wrong := check(rapid.Int64().Draw(t, "ns")); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

func TestDigitsAndBytes(t *testing.T) {
	for b := range 256 {
		if got := string(appendByte(nil, byte(b))); got != fmt.Sprint(b) {
			t.Errorf("%d: %s", b, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "digits")
		most := uint64(1)
		for range n {
			most *= 10
		}
		v := rapid.Uint64Max(most-1).Draw(t, "value")
		if got, want := string(appendDigits([]byte("x"), v, n)), fmt.Sprintf("x%0*d", n, v); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func pageFlows() []flow.Flow {
	return []flow.Flow{
		{Proto: 6, Client: addr16("10.0.0.1"), ClientPort: 40000, Server: addr16("10.0.0.2"), ServerPort: 443, PacketsToServer: 10, PacketsToClient: 12, BytesToServer: 1000, BytesToClient: 123456,
			First: 1e18, Last: 1e18 + 1234567890, State: flow.SF, History: "ShADadFf", OrientedBy: flow.BySYN},
		{Proto: 17, IPv6: true, Client: addr16("2001:db8:1234:5678:9abc:def0:1111:2222"), ClientPort: 65535, Server: addr16("2001:db8:1234:5678:9abc:def0:1111:3333"), ServerPort: 53,
			PacketsToServer: 1234567, BytesToServer: 123456789012, First: -1, Last: 1e18, State: flow.S0, History: "D", OrientedBy: flow.ByRegistry, HasVLAN: true, VLAN: 0xf00a,
			Tunnels: [6]wire.Tunnel{wire.VXLAN, wire.GRE}, Depth: 2, Refused: 3, RefusedType: 1, RefusedCode: 4},
		{Proto: 6, Client: addr16("10.0.0.2"), ClientPort: 20, Server: addr16("10.0.0.1"), ServerPort: 50123, PacketsToServer: 1, First: 1e18, Last: 1e18, State: flow.RSTOS0,
			History: "^hADadFfRrTtCc", OrientedBy: flow.ByFirstPacket, Label: "ftp-data" + hostile, Refused: 1, RefusedType: 3},
		{Proto: 1, Client: addr16("10.0.0.1"), ClientPort: 8, Server: addr16("10.0.0.2"), PacketsToServer: 1, PacketsToClient: 1, BytesToServer: 98, BytesToClient: 98, First: 1e18, Last: 1e18 + 5e7, OrientedBy: flow.ByFirstPacket},
		{Proto: 47, Client: addr16("fe80::1"), Server: addr16("ff02::1"), PacketsToServer: 1, BytesToServer: 98, First: 1e18, Last: 1e18, OrientedBy: flow.ByFirstPacket},
	}
}

// The lines of flows as people see them.
func TestFlowLines(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		l := FlowLines{Verbose: verbose, Service: pageTraffic().Service, clock: PacketLines{Zone: time.UTC}}
		page := l.AppendHead(nil)
		for _, f := range pageFlows() {
			page = l.Append(page, &f)
		}
		name := "flows"
		if verbose {
			name = "flows-v"
		}
		golden(t, name, string(page))
		checkPage(t, string(page), 1<<20)
	}
}

func TestFlowJSONAllocatesNothing(t *testing.T) {
	flows := pageFlows()
	flows[2].Label = "ftp-data"
	buf := make([]byte, 0, 4<<10)
	if n := testing.AllocsPerRun(100, func() {
		for i := range flows {
			buf = AppendFlowJSON(buf[:0], &flows[i], "https")
		}
	}); n > 0 {
		t.Errorf("%.0f allocations for %d flows", n, len(flows))
	}
}
