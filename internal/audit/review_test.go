package audit

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
)

func greeted(in *Input, port uint16, s exposure.Service) *Input {
	in.Greetings = map[exposure.Endpoint]exposure.Service{{Proto: exposure.TCP, Addr: exposure.IPAddress(lan), Port: port}: s}
	return in
}

// from is a whole-range scan of this host made elsewhere.
func from(in *Input, ports ...exposure.PortState) *Input {
	in.Vantages = []exposure.Scan{{Vantage: "v.xml", Hosts: []exposure.HostScan{{Addr: lan, Ports: ports,
		Asked: map[exposure.Proto]int{exposure.TCP: 65535}, States: map[exposure.PortStateName]int{exposure.Closed: 65535 - len(ports)}}}}}
	return in
}

func fixesOf(rep Report) string {
	var out []string
	for _, f := range rep.Findings {
		for _, x := range f.Fix {
			out = append(out, x.Command)
		}
	}
	return strings.Join(out, "\n")
}

// What keeps strangers away, or makes it uncertain, lowers a finding, also
// where no password is asked.
func TestSeverityStepsDown(t *testing.T) {
	open := exposure.Service{Name: "redis", Auth: "none"}
	redis := func() *Input { return greeted(hostWith(listener(6379, "redis-server")), 6379, open) }
	partial := redis()
	partial.Wall = wall{"tcp/6379": {Verdict: exposure.Partial, Why: "depends on the source"}}
	unknown := redis()
	unknown.Wall = nil
	for _, c := range []struct {
		name    string
		in      *Input
		want    string
		verdict exposure.Verdict
	}{
		{"anyone", redis(), "exposed-datastore high tcp/0.0.0.0:6379", exposure.Exposed},
		{"some", partial, "exposed-datastore medium tcp/0.0.0.0:6379", exposure.Exposed},
		{"closed from outside", from(redis()), "exposed-datastore medium tcp/0.0.0.0:6379", exposure.Review},
		{"firewall not read", unknown, "exposed-datastore medium tcp/0.0.0.0:6379", exposure.Review},
		{"a web page on a product's port", greeted(hostWith(listener(8888, "python3")), 8888, exposure.Service{Name: "http"}),
			"exposed-admin-service low tcp/0.0.0.0:8888", exposure.Exposed},
	} {
		rep := Judge(c.in)
		if got := heard(rep); !slices.Equal(got, []string{c.want}) || rep.Endpoints[0].Verdict != c.verdict {
			t.Errorf("%s: %v, %s; want %s, %s", c.name, got, rep.Endpoints[0].Verdict, c.want, c.verdict)
		}
	}
}

// A socket bound to the loopback device takes nothing from other machines.
func TestLoopbackDeviceIsLoopback(t *testing.T) {
	s := listener(6379, "redis-server")
	s.Device = "lo"
	rep := Judge(hostWith(s))
	if got := heard(rep); len(got) != 0 || rep.Endpoints[0].Verdict != exposure.Expected {
		t.Errorf("%v, %s", got, rep.Endpoints[0].Verdict)
	}
}

func TestTLSOnThePortOfHTTPIsAMismatch(t *testing.T) {
	in := greeted(hostWith(listener(80, "nginx")), 80, exposure.Service{TLS: true})
	if got := heard(Judge(in)); !slices.Equal(got, []string{"service-mismatch medium tcp/0.0.0.0:80"}) {
		t.Errorf("%v", got)
	}
}

// The right that is wrong is the folder's, so the folder is named.
func TestFixForAWritableFolder(t *testing.T) {
	in := hostWith(holder(listener(22, "sshd"), func(p *exposure.Process) {
		p.Writable, p.WritableWhy, p.WritablePath = true, "everyone may replace files in /srv/x (mode 0777)", "/srv/x"
	}))
	if got := fixesOf(Judge(in)); got != "chmod go-w /srv/x" {
		t.Errorf("%s", got)
	}
}

// A wide published range is one row that stands for all its ports.
func TestWidePublishedRangeIsOneRow(t *testing.T) {
	in := hostWith()
	pub := published(30000, "172.17.0.2:80", true)
	pub.Last = 31000
	in.Published = []exposure.PublishedPort{pub}
	in.answers(30000, exposure.Open)
	in = from(in, open(lan, 30000), open(lan, 30500))
	rep := Judge(in)
	if got := heard(rep); !slices.Equal(got, []string{"no-listener low tcp/10.0.0.1:30000"}) {
		t.Fatalf("%v", got)
	}
	if !slices.ContainsFunc(rep.Endpoints[0].Why, func(s string) bool { return strings.Contains(s, "30000-31000") }) {
		t.Errorf("the range is not said: %v", rep.Endpoints[0].Why)
	}
}

// Prerouting rules are no business of loopback addresses.
func TestPublishedOnLoopbackNeedsTheOutputHook(t *testing.T) {
	in := hostWith()
	pub := published(9004, "172.17.0.2:80", false)
	pub.Addr = netip.MustParseAddr("127.0.0.1")
	in.Published = []exposure.PublishedPort{pub}
	if rep := Judge(in); len(rep.Endpoints) != 0 {
		t.Errorf("%+v", rep.Endpoints)
	}
}

// The rules of a stock ufw host for DHCP and multicast are not stale.
func TestPermitsThatAreAboutNoListener(t *testing.T) {
	in := hostWith(listener(22, "sshd"))
	in.PermitRules = []exposure.PermitRule{
		{Proto: exposure.UDP, First: 68, Last: 68, Rule: "udp sport 67 udp dport 68 accept"},
		{Proto: exposure.UDP, Addr: netip.MustParseAddr("224.0.0.251"), First: 5353, Last: 5353, Rule: "mDNS"},
		{Proto: exposure.TCP, First: 22, Last: 22, Rule: "ssh"},
	}
	in.Wall = wall{"tcp/22": {Verdict: exposure.Permitted}}
	if got := heard(Judge(in)); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// Inside and outside evidence stand together, and nothing speaks for a service
// "stopped since" when it answers now. No firewall rule is offered against
// what answers below the firewall.
func TestHiddenListenerSeenFromBothSides(t *testing.T) {
	in := from(hostWith().answers(4444, exposure.Open), open(lan, 4444))
	in.After.Sockets = append(in.After.Sockets, exposure.Socket{State: exposure.Packet, NetNS: self, Processes: []exposure.Process{{PID: 7, Name: "x"}}})
	f := findingOf(t, Judge(in), "hidden-listener")
	if f.Severity != exposure.High || len(f.SafeBecause) != 0 || !strings.Contains(strings.Join(f.Because, " "), "every re-check") {
		t.Errorf("%+v", f)
	}
	for _, x := range f.Fix {
		if strings.Contains(x.Command, "nft") {
			t.Errorf("offers %s", x.Command)
		}
	}
}

// A host at which everything answers from outside says nothing by one port.
func TestVantageWhereEverythingAnswers(t *testing.T) {
	in := from(hostWith(), open(lan, 1), open(lan, 2))
	in.Vantages[0].Hosts[0].EverythingAnswers = true
	rep := Judge(in)
	if d := cmp.Diff([]string{}, heard(rep)); d != "" || len(rep.Summary.Notes) == 0 {
		t.Errorf("%s notes %v", d, rep.Summary.Notes)
	}
}

// A rule that sends on only some strangers makes a published port partial,
// though nobody is dropped.
func TestPublishedToSomeIsPartial(t *testing.T) {
	in := hostWith()
	in.Published = []exposure.PublishedPort{published(9010, "172.17.0.2:80", false)}
	in.Wall = wall{"tcp/9010": {Verdict: exposure.Permitted, PartlySent: "the source address"}}
	if got := Judge(in).Endpoints[0].Views.Firewall; got != exposure.Partial {
		t.Errorf("%s", got)
	}
}
