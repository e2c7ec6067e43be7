package learn

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// dmz is the traffic of docs/rules.md's example: a web server, its database and
// its domain controllers, strangers, scanners, and one ssh.
type dmz struct {
	r     *rand.Rand
	flows []*exposure.Flow
}

func (d *dmz) add(day int, proto exposure.Proto, client, server string, port uint16, answered exposure.Answered) {
	at := time.Unix(1_762_000_000, 0).Add(time.Duration(day)*24*time.Hour + time.Duration(d.r.IntN(86000))*time.Second)
	d.flows = append(d.flows, &exposure.Flow{Proto: proto, Client: netip.MustParseAddr(client), ClientPort: uint16(40000 + d.r.IntN(9000)), Server: netip.MustParseAddr(server),
		ServerPort: port, First: at, Last: at.Add(time.Second), Answered: answered, OrientedBy: "syn", PacketsToServer: 4, PacketsToClient: 4})
}

func (d *dmz) stranger() string {
	return fmt.Sprintf("%d.%d.%d.9", []int{23, 62, 81, 142, 185, 203}[d.r.IntN(6)], d.r.IntN(256), d.r.IntN(256))
}

func (d *dmz) day(n int) {
	const web = "10.20.0.80"
	for range 300 {
		d.add(n, exposure.TCP, d.stranger(), web, 443, exposure.FlowAnswered)
		d.add(n, exposure.TCP, web, "10.30.0.33", 1433, exposure.FlowAnswered)
	}
	for _, dc := range []string{"10.40.0.10", "10.40.0.11"} {
		for range 8 {
			for _, port := range []uint16{88, 135, 389, 445, 464, 636, 3268, uint16(49152 + d.r.IntN(16000))} {
				d.add(n, exposure.TCP, web, dc, port, exposure.FlowAnswered)
			}
			d.add(n, exposure.UDP, web, dc, 53, exposure.FlowAnswered)
			d.add(n, exposure.UDP, web, dc, 123, exposure.FlowAnswered)
		}
	}
	for range 60 {
		d.add(n, exposure.TCP, "198.51.100.66", web, uint16(1+d.r.IntN(9000)), exposure.FlowUnanswered)
	}
}

// The rules that docs/rules.md tells of come out, the next day passes, and
// neither the scanner nor the ssh that was made once has a rule.
func TestDMZ(t *testing.T) {
	d := &dmz{r: rand.New(rand.NewPCG(1, 2))}
	for n := range 7 {
		d.day(n)
	}
	d.add(1, exposure.TCP, "10.30.0.33", "10.20.0.80", 22, exposure.FlowAnswered)
	f, report, err := Learn(slices.Values(d.flows), Defaults())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range f.Rules {
		got = append(got, fmt.Sprint(r.Proto, r.To, r.Ports, r.Dynamic))
	}
	slices.Sort(got)
	want := []string{
		"tcp[10.20.0.80] [443]", "tcp[10.30.0.33] [1433]", "tcp[10.40.0.10 10.40.0.11] [88 135 389 445 464 636 3268 49152-65535]msrpc",
		"udp[10.40.0.10 10.40.0.11] [53 123]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if report.ScanFlows+report.Unanswered == 0 || report.OneOff != 1 {
		t.Errorf("%+v", report)
	}
	next := &dmz{r: rand.New(rand.NewPCG(3, 4))}
	next.day(8)
	decide, err := FileDecider(f)
	if err != nil {
		t.Fatal(err)
	}
	if res := Check(decide, slices.Values(next.flows)); res.EstablishedPermitted != res.Established || res.AttemptsPermitted > 1 {
		t.Errorf("%d of %d established, %d of %d attempts pass", res.EstablishedPermitted, res.Established, res.AttemptsPermitted, res.Attempts)
	}
}
