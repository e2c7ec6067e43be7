package scan

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portreeve/portreeve/internal/exposure"
)

// scanJSON writes a scan as `portreeve scan --json` does.
func scanJSON(t testing.TB, s exposure.Scan) string {
	t.Helper()
	b, err := json.Marshal(struct {
		Schema string `json:"schema"`
		Host   string `json:"host"`
		exposure.Scan
	}{Schema, "elsewhere", s})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sampleScan() exposure.Scan {
	addr := netip.MustParseAddr("fe80::1%eth0")
	return exposure.Scan{Taken: time.Unix(1700000000, 5).UTC(), Notes: []string{"note"}, Gaps: []exposure.Gap{{View: "network", Why: "why"}},
		Stats: exposure.ScanStats{Sent: 3, Received: 2, Seconds: 1.5, Loss: exposure.ScanLoss{CanarySent: 2, CanaryLost: 1, Estimate: 0.5}},
		Hosts: []exposure.HostScan{{Addr: addr, Name: "h", Up: true, States: map[exposure.PortStateName]int{exposure.Closed: 9},
			Ports: []exposure.PortState{{Addr: addr, Port: 22, Proto: exposure.TCP, State: exposure.Open, Reason: "syn-ack",
				RTT: 70 * time.Microsecond, RTTus: 70, Service: &exposure.Service{Name: "ssh"}}}}}}
}

// What a scan writes is read back whole.
func TestReadVantageRoundTrip(t *testing.T) {
	want := sampleScan()
	got, err := ReadVantage(strings.NewReader("\xef\xbb\xbf \n"+scanJSON(t, want)), "v.json")
	want.Vantage = "v.json"
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestReadVantageRefuses(t *testing.T) {
	good := scanJSON(t, sampleScan())
	for doc, want := range map[string]error{
		"":                               ErrVantageFormat,
		"hello":                          ErrVantageFormat,
		"<html/>":                        nil, // any error
		`{"schema":"portreeve.audit/1"}`: ErrVantageFormat,
		good[:len(good)/2]:               ErrVantageFormat,
		strings.Replace(good, `"open"`, `"ajar"`, 1):                   ErrVantageValue,
		strings.Replace(good, `"addr":"fe80::1%eth0"`, `"addr":""`, 1): ErrVantageValue,
	} {
		_, err := ReadVantage(strings.NewReader(doc), "f")
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", doc, err, want)
		}
	}
}

// An nmap run that failed is evidence with a gap.
func TestReadVantageUnfinishedNmap(t *testing.T) {
	doc := `<nmaprun scanner="nmap" start="1700000000"><host><address addr="10.0.0.1"/></host><runstats><finished exit="error" errormsg="broke"/></runstats></nmaprun>`
	s, err := ReadVantage(strings.NewReader(doc), "v.xml")
	if err != nil || len(s.Gaps) != 1 || !strings.Contains(s.Gaps[0].Why, "broke") || s.Taken.Unix() != 1700000000 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzReadVantage(f *testing.F) {
	f.Add(scanJSON(f, sampleScan()))
	f.Add(`{"schema":"portreeve.scan/1","hosts":[{"addr":"::1","ports":null,"states":{"open":-1}}]}`)
	f.Add(`<nmaprun><host><address addr="10.0.0.1"/></host></nmaprun>`)
	f.Fuzz(func(t *testing.T, doc string) {
		s, err := ReadVantage(strings.NewReader(doc), "fuzz")
		if err == nil && s.Vantage != "fuzz" {
			t.Error("vantage lost")
		}
	})
}
