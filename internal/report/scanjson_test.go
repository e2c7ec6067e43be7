package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan"
	"pgregory.net/rapid"
)

func tlsGen(t *rapid.T) *exposure.TLSDetail {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "a", hostile}), rapid.String())
	if rapid.Bool().Draw(t, "clear") {
		return nil
	}
	d := &exposure.TLSDetail{Version: text.Draw(t, "tv"), ALPN: text.Draw(t, "alpn"), StartTLS: rapid.Bool().Draw(t, "st"),
		Subject: text.Draw(t, "cn"), Names: rapid.SliceOfN(text, 0, 3).Draw(t, "names"), Issuer: text.Draw(t, "ca"), SelfSigned: rapid.Bool().Draw(t, "self")}
	if rapid.Bool().Draw(t, "ends") {
		d.NotAfter = time.Unix(rapid.Int64Range(-1<<33, 1<<37).Draw(t, "end"), 5).UTC()
	}
	return d
}

func serviceGen(t *rapid.T) *exposure.Service {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "ssh", hostile}), rapid.String())
	if rapid.Bool().Draw(t, "silent") {
		return nil
	}
	return &exposure.Service{Name: text.Draw(t, "name"), Product: text.Draw(t, "product"), Version: text.Draw(t, "version"), Info: text.Draw(t, "info"),
		CPE: text.Draw(t, "cpe"), TLS: rapid.Bool().Draw(t, "tls"), TLSDetail: tlsGen(t), Via: text.Draw(t, "via"), Auth: text.Draw(t, "auth"), Banner: text.Draw(t, "banner")}
}

var scanStates = rapid.SampledFrom([]exposure.PortStateName{exposure.Open, exposure.Closed, exposure.Filtered, exposure.OpenFiltered, exposure.Unfiltered, "closed|filtered"})

func hostScanGen(t *rapid.T) exposure.HostScan {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "web-01", hostile}), rapid.String())
	h := exposure.HostScan{Addr: rapid.Map(rapid.SampledFrom([]string{"10.0.0.1", "fe80::1%e\"\x1bth0", "::ffff:1.2.3.4", "2001:db8::1"}), netip.MustParseAddr).Draw(t, "addr"),
		Name: text.Draw(t, "host"), Up: rapid.Bool().Draw(t, "up"), EverythingAnswers: rapid.Bool().Draw(t, "all"), Ports: []exposure.PortState{},
		States: rapid.MapOfN(scanStates, rapid.IntRange(0, 1<<20), 0, 4).Draw(t, "states"), Reason: text.Draw(t, "why"), MAC: text.Draw(t, "mac")}
	for range rapid.IntRange(0, 3).Draw(t, "ports") {
		us := rapid.Int64Range(0, 1<<40).Draw(t, "rtt")
		h.Ports = append(h.Ports, exposure.PortState{Addr: h.Addr, Port: rapid.Uint16().Draw(t, "port"), Proto: rapid.SampledFrom([]exposure.Proto{"tcp", "udp"}).Draw(t, "proto"),
			State: scanStates.Draw(t, "state"), Reason: text.Draw(t, "reason"), RTTus: us, RTT: time.Duration(us) * time.Microsecond, TTL: rapid.Uint8().Draw(t, "ttl"), Service: serviceGen(t)})
	}
	for range rapid.IntRange(0, 2).Draw(t, "guesses") {
		h.OS = append(h.OS, exposure.OSGuess{Name: text.Draw(t, "os"), Accuracy: rapid.IntRange(0, 100).Draw(t, "acc"), Via: text.Draw(t, "by")})
	}
	return h
}

func scanGen(t *rapid.T) exposure.Scan {
	s := exposure.Scan{Taken: time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "taken"), 7).UTC(), Hosts: []exposure.HostScan{}, Gaps: []exposure.Gap{}, Notes: []string{"a \x1b note"},
		Stats: exposure.ScanStats{Sent: rapid.Int64().Draw(t, "sent"), Received: rapid.Int64().Draw(t, "recv"), Seconds: rapid.Float64().Draw(t, "sec"),
			Loss: exposure.ScanLoss{CanarySent: rapid.Int64().Draw(t, "cs"), CanaryLost: rapid.Int64().Draw(t, "cl"), Estimate: rapid.Float64().Draw(t, "est")}}}
	for range rapid.IntRange(0, 3).Draw(t, "hosts") {
		s.Hosts = append(s.Hosts, hostScanGen(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "gaps") {
		s.Gaps = append(s.Gaps, exposure.Gap{View: "network", Why: rapid.String().Draw(t, "gap")})
	}
	return s
}

// asJSON is a value as encoding/json says it, read back without types.
func asJSON(t *rapid.T, doc []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(doc, &out); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	return out
}

// The fast writer says what encoding/json says of the same value, and nothing
// that a terminal obeys stands raw.
func TestScanJSONAgreesWithJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scanGen(t)
		slow, err := json.Marshal(struct {
			Schema string `json:"schema"`
			Host   string `json:"host"`
			exposure.Scan
		}{ScanSchema, hostile, s})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := ScanJSON(&b, hostile, &s); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && obeyed(r) {
				t.Fatalf("%U stands raw", r)
			}
		}
		if d := cmp.Diff(asJSON(t, slow), asJSON(t, b.Bytes())); d != "" {
			t.Fatalf("(-json +fast):\n%s", d)
		}
	})
}

// What is written is read back as a vantage, but for bytes that are no UTF-8
// and spaces that json shows escaped.
func TestScanJSONReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := scanGen(t)
		var first, second bytes.Buffer
		if err := ScanJSON(&first, "here", &want); err != nil {
			t.Fatal(err)
		}
		got, err := scan.ReadVantage(bytes.NewReader(first.Bytes()), "v.json")
		if err != nil {
			t.Fatal(err)
		}
		// All that the reader keeps writes the same document again.
		for i := range got.Hosts {
			got.Hosts[i].EverythingAnswers = want.Hosts[i].EverythingAnswers // judged again by the reader
		}
		if err := ScanJSON(&second, "here", &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(first.String(), second.String()); d != "" {
			t.Fatalf("(-written +read and written):\n%s", d)
		}
		if len(got.Hosts) > 0 && len(got.Hosts[0].Ports) > 0 {
			p, q := want.Hosts[0].Ports[0], got.Hosts[0].Ports[0]
			p.Service, q.Service, p.Reason, q.Reason = nil, nil, "", ""
			if d := cmp.Diff(p, q, cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Fatalf("port (-written +read):\n%s", d)
			}
		}
	})
}

func TestScanSchemaIsTheReaders(t *testing.T) {
	if ScanSchema != scan.Schema {
		t.Errorf("%s is written, %s is read", ScanSchema, scan.Schema)
	}
}

// Lists and counts are never null, and numbers that JSON does not have are 0.
func TestScanJSONOfNothing(t *testing.T) {
	var b bytes.Buffer
	s := exposure.Scan{Hosts: []exposure.HostScan{{}}, Stats: exposure.ScanStats{Seconds: math.NaN(), Loss: exposure.ScanLoss{Estimate: math.Inf(1)}}}
	if err := ScanJSON(&b, "h", &s); err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"portreeve.scan/1","taken":"0001-01-01T00:00:00Z","host":"h","incomplete":[],
"hosts":[
{"addr":"","name":"","up":false,"everything_answers":false,"ports":[],"states":{}}],
"stats":{"sent":0,"received":0,"seconds":0,"loss":{"canary_sent":0,"canary_lost":0,"estimate":0}}}
`
	if b.String() != want {
		t.Errorf("got %s", b.String())
	}
}

// A certificate that never ends has a year that RFC 3339 cannot write.
func TestScanJSONBoundsYears(t *testing.T) {
	for _, end := range []time.Time{time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)} {
		h := exposure.HostScan{Ports: []exposure.PortState{{Service: &exposure.Service{TLSDetail: &exposure.TLSDetail{NotAfter: end}}}}}
		var back exposure.HostScan
		if err := json.Unmarshal(AppendHostScan(nil, &h), &back); err != nil {
			t.Errorf("%v: %v", end, err)
		}
	}
}

func wideScan(hosts, ports int) exposure.Scan {
	s := exposure.Scan{Taken: time.Unix(1700000000, 0), Stats: exposure.ScanStats{Seconds: 1.5}}
	addr := netip.MustParseAddr("10.0.0.0")
	for range hosts {
		h := exposure.HostScan{Addr: addr, Up: true, Reason: "syn-ack", States: map[exposure.PortStateName]int{exposure.Closed: 12},
			Asked: map[exposure.Proto]int{exposure.TCP: 16}}
		for p := range ports {
			h.Ports = append(h.Ports, exposure.PortState{Addr: addr, Port: uint16(22 + p), Proto: exposure.TCP, State: exposure.Open, Reason: "syn-ack", RTTus: 80, TTL: 64,
				Service: &exposure.Service{Name: "ssh", Product: "OpenSSH", Version: "9.2p1", Via: "banner"}})
		}
		s.Hosts = append(s.Hosts, h)
		addr = addr.Next()
	}
	return s
}

func TestAppendHostScanAllocatesNothing(t *testing.T) {
	s := wideScan(1, 4)
	s.Hosts[0].Ports[0].Service.TLSDetail = &exposure.TLSDetail{Version: "TLS 1.3", Names: []string{"a"}, NotAfter: time.Unix(1700000000, 0)}
	buf := make([]byte, 0, 8192)
	if n := testing.AllocsPerRun(100, func() { buf = AppendHostScan(buf[:0], &s.Hosts[0]) }); n > 0 {
		t.Errorf("%.0f allocations a host", n)
	}
}

// Memory does not grow with the scan.
func TestScanJSONAllocatesNothingPerHost(t *testing.T) {
	s := wideScan(4096, 4)
	if n := testing.AllocsPerRun(3, func() { _ = ScanJSON(io.Discard, "h", &s) }); n > 4 {
		t.Errorf("%.0f allocations for 4,096 hosts", n)
	}
}

type fullDisk struct{ left int }

var errFullDisk = errors.New("disk full")

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFullDisk
	}
	return len(b), nil
}

func TestScanWritersTellErrors(t *testing.T) {
	s := wideScan(4096, 1)
	for _, room := range []int{0, scanPiece * 2} {
		if err := ScanJSON(&fullDisk{room}, "h", &s); !errors.Is(err, errFullDisk) {
			t.Errorf("JSON, room %d: %v", room, err)
		}
	}
}

func BenchmarkScanJSON(b *testing.B) {
	s := wideScan(65536, 4)
	for b.Loop() {
		if err := ScanJSON(io.Discard, "h", &s); err != nil {
			b.Fatal(err)
		}
	}
}
