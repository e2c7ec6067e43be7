package learn

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// flows builds test flows: day by day, one a minute unless told.
type flows struct {
	list []*exposure.Flow
	now  time.Time
}

func from(t time.Time) *flows { return &flows{now: t} }

func (b *flows) add(proto exposure.Proto, client, server string, port uint16, n int) *flows {
	for range n {
		b.now = b.now.Add(time.Minute)
		b.list = append(b.list, &exposure.Flow{
			Proto: proto, Client: netip.MustParseAddr(client), ClientPort: 40000, Server: netip.MustParseAddr(server), ServerPort: port,
			PacketsToServer: 3, PacketsToClient: 3, First: b.now, Last: b.now, Answered: exposure.FlowAnswered,
		})
	}
	return b
}

func (b *flows) last() *exposure.Flow { return b.list[len(b.list)-1] }

func (b *flows) failing(client, server string, port uint16, n int) *flows {
	b.add(exposure.TCP, client, server, port, n)
	for _, f := range b.list[len(b.list)-n:] {
		f.Answered, f.PacketsToClient = exposure.FlowUnanswered, 0
	}
	return b
}

func learned(t *testing.T, b *flows, o Options) string {
	t.Helper()
	f, _ := mustLearn(t, seq(b.list), o)
	return rules(f)
}

// rules writes a file's rules, one on a line.
func rules(f *rulefile.File) string {
	var b strings.Builder
	for i := range f.Rules {
		b.WriteString(f.Rules[i].String() + "\n")
	}
	return b.String()
}

// The DMZ of docs/rules.md: web servers stay by name.
func TestWebServersAndTheirDatabase(t *testing.T) {
	b := from(monday).add(exposure.TCP, "192.168.10.5", "192.168.20.7", 1433, 50).add(exposure.TCP, "192.168.10.6", "192.168.20.7", 1433, 50).
		add(exposure.TCP, "192.168.10.5", "192.168.20.2", 88, 9)
	want := "permit tcp from 192.168.10.5,192.168.10.6 to 192.168.20.7 port 1433\npermit tcp from 192.168.10.5 to 192.168.20.2 port 88\n"
	if got := learned(t, b, Defaults()); got != want {
		t.Errorf("%s", got)
	}
}

func TestThreeClientsAreTheirSegment(t *testing.T) {
	b := from(monday)
	for _, c := range []string{"10.1.1.5", "10.1.1.60", "10.1.1.200"} {
		b.add(exposure.TCP, c, "10.9.9.9", 443, 5)
	}
	if got := learned(t, b, Defaults()); got != "permit tcp from 10.1.1.0/24 to 10.9.9.9 port 443\n" {
		t.Errorf("%s", got)
	}
	o := Defaults()
	o.Policy.Segments = []Segment{{Name: "office", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/20")}}}
	if got := learned(t, b, o); got != "permit tcp from 10.1.0.0/20 to 10.9.9.9 port 443\n" {
		t.Errorf("with a policy: %s", got)
	}
	for tightness, want := range map[float64]string{
		1:    "permit tcp from 10.1.1.5,10.1.1.60,10.1.1.200 to 10.9.9.9 port 443\n",
		0.8:  "permit tcp from 10.1.1.5,10.1.1.60,10.1.1.200 to 10.9.9.9 port 443\n",
		0.2:  "permit tcp from 10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16 to 10.9.9.9 port 443\n",
		0.05: "permit tcp from 10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16 to 10.9.9.0/24 port 443\n",
	} {
		o := Defaults()
		o.Tightness = tightness
		got := learned(t, b, o)
		if got != want {
			t.Errorf("tightness %v: %s", tightness, got)
		}
	}
}

func TestManyPublicServersAreTheInternet(t *testing.T) {
	b := from(monday)
	for _, s := range []string{"1.1.1.1", "8.8.8.8", "9.9.9.9", "151.101.1.1", "185.15.59.224"} {
		b.add(exposure.TCP, "10.1.1.5", s, 443, 3)
	}
	f, _ := mustLearn(t, seq(b.list), Defaults())
	if len(f.Rules) != 1 || !strings.Contains(f.Rules[0].Name, "the internet") {
		t.Fatalf("%s", f.Text())
	}
	decide, _ := FileDecider(f)
	for server, want := range map[string]exposure.PermitVerdict{
		"198.35.26.96": exposure.Permitted, "10.1.1.9": exposure.Denied, "192.168.0.1": exposure.Denied, "100.64.0.1": exposure.Denied,
	} {
		x := from(monday).add(exposure.TCP, "10.1.1.5", server, 443, 1).last()
		if got, _ := decide(x); got != want {
			t.Errorf("%s: %s", server, got)
		}
	}
}

func TestOneOffIsLeftOutAndSaid(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 20).add(exposure.TCP, "10.1.1.8", "10.2.2.3", 22, 1)
	f, r := mustLearn(t, seq(b.list), Defaults())
	if strings.Contains(rules(f), "port 22") || r.OneOff != 1 || len(r.LeftOut) != 1 || r.LeftOut[0].Service != "22/tcp" {
		t.Errorf("%s %+v", rules(f), r)
	}
	// The same on three days is work.
	for d := 1; d < 3; d++ {
		b.now = monday.AddDate(0, 0, d)
		b.add(exposure.TCP, "10.1.1.8", "10.2.2.3", 22, 1)
	}
	if got := learned(t, b, Defaults()); !strings.Contains(got, "from 10.1.1.8 to 10.2.2.3 port 22") {
		t.Errorf("%s", got)
	}
}

func TestScannersTeachNothing(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 20).add(exposure.TCP, "10.1.1.66", "10.2.2.2", 443, 10)
	for i := range 30 {
		b.failing("10.1.1.66", "10.2.2.2", uint16(1000+i), 1)
	}
	b.add(exposure.TCP, "10.1.1.66", "10.2.2.2", 8081, 9)
	f, r := mustLearn(t, seq(b.list), Defaults())
	if strings.Contains(rules(f), "8081") || len(r.Scanners) != 1 || r.Scanners[0].Doors != 30 {
		t.Errorf("%s %+v", rules(f), r)
	}
}

func TestMonitorIsNoScanner(t *testing.T) {
	b := from(monday)
	for i := 1; i <= 40; i++ {
		b.add(exposure.TCP, "10.9.9.9", netip.AddrFrom4([4]byte{10, 2, 2, byte(i)}).String(), 9100, 1)
	}
	if got := learned(t, b, Defaults()); got != "permit tcp from 10.9.9.9 to 10.2.2.0/24 port 9100\n" {
		t.Errorf("%s", got)
	}
}

func TestDynamicPortsAreNamed(t *testing.T) {
	b := from(monday)
	for i, c := range []string{"10.1.1.5", "10.1.1.6", "10.1.1.7"} {
		b.add(exposure.TCP, c, "10.2.2.2", 135, 4).add(exposure.TCP, c, "10.2.2.2", uint16(49700+i), 2)
		b.add(exposure.TCP, c, "10.2.2.3", 21, 4)
		for j := range 6 {
			b.add(exposure.TCP, c, "10.2.2.3", uint16(50000+i*17+j*23), 1)
		}
	}
	f, _ := mustLearn(t, seq(b.list), Defaults())
	got := rules(f)
	if !strings.Contains(got, "to 10.2.2.2 port 135,49152-65535") || len(f.Rules) != 2 {
		t.Errorf("%s", got)
	}
	var dynamic []string
	for _, r := range f.Rules {
		dynamic = append(dynamic, r.Dynamic)
	}
	slices.Sort(dynamic)
	if !slices.Equal(dynamic, []string{"ftp", "msrpc"}) {
		t.Errorf("%v\n%s", dynamic, got)
	}
}

func TestActiveFTPComesFromPort20(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.3", 21, 4)
	for i := range 5 {
		b.add(exposure.TCP, "10.2.2.3", "10.1.1.5", uint16(41000+77*i), 1)
		b.last().ClientPort = 20
	}
	if got := learned(t, b, Defaults()); !strings.Contains(got, "permit tcp from 10.2.2.3 port 20 to 10.1.1.5 port 1024-65535") {
		t.Errorf("%s", got)
	}
}

func TestAnswersAreTurned(t *testing.T) {
	b := from(monday).add(exposure.UDP, "10.2.2.3", "10.1.1.5", 51234, 4)
	for _, f := range b.list {
		f.ClientPort, f.OrientedBy = 53, "first-packet"
	}
	if got := learned(t, b, Defaults()); got != "permit udp from 10.1.1.5 to 10.2.2.3 port 53\n" {
		t.Errorf("%s", got)
	}
}

func TestLinkTrafficMakesNoRule(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 9).add(exposure.UDP, "10.1.1.5", "239.255.255.250", 1900, 9).
		add(exposure.UDP, "10.1.1.5", "255.255.255.255", 67, 9).add(exposure.UDP, "fe80::1", "ff02::fb", 5353, 9)
	f, r := mustLearn(t, seq(b.list), Defaults())
	if len(f.Rules) != 1 || r.Local != 27 {
		t.Errorf("%d of the link\n%s", r.Local, rules(f))
	}
	o := Defaults()
	o.LocalLink = true
	if got := learned(t, b, o); !strings.Contains(got, "239.255.255.250") || !strings.Contains(got, "ff02::fb") {
		t.Errorf("%s", got)
	}
}

func TestPingIsARuleOfItsOwn(t *testing.T) {
	b := from(monday).add(exposure.ICMP, "10.1.1.5", "10.2.2.2", 0, 9)
	for _, f := range b.list {
		f.ClientPort = 8
	}
	b.add(exposure.ICMP, "10.2.2.9", "10.1.1.5", 1, 9) // port unreachable
	for _, f := range b.list[9:] {
		f.ClientPort = 3
	}
	f, r := mustLearn(t, seq(b.list), Defaults())
	if rules(f) != "permit icmp from 10.1.1.5 to 10.2.2.2 type 8\n" || r.Related != 9 {
		t.Errorf("%s", rules(f))
	}
}

func TestPolicyIsHonoured(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 9).add(exposure.TCP, "10.1.1.8", "10.2.2.3", 657, 1)
	o := Defaults()
	o.Policy.Protected = []Protected{{Proto: exposure.TCP, First: 657, Last: 657, Reason: "cluster heartbeat"}}
	o.Policy.Operators = []Operator{{From: netip.MustParsePrefix("192.0.2.7/32"), Reason: "the person who applies this"}}
	f, _ := mustLearn(t, seq(b.list), o)
	got := rules(f)
	for _, want := range []string{"permit tcp from 192.0.2.7 port 22", "permit tcp port 657"} {
		if !strings.Contains(strings.ReplaceAll(got, " to  port", " port"), want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	// What comes by them needs no rule of its own.
	b.add(exposure.TCP, "192.0.2.7", "10.2.2.2", 22, 9)
	if f, _ := mustLearn(t, seq(b.list), o); rules(f) != got || f.Rules[0].Evidence.Flows != 9 || f.Rules[1].Evidence.Clients != 1 {
		t.Errorf("%s", f.Text())
	}
	if strings.Count(got, "657") != 1 {
		t.Errorf("%s", got)
	}
	if f.Rules[0].Protected != "the person who applies this" || f.Rules[1].Protected != "cluster heartbeat" {
		t.Errorf("%s", f.Text())
	}
}

func TestDeadServerOfTheInternetIsDenied(t *testing.T) {
	b := from(monday)
	for _, s := range []string{"1.1.1.1", "8.8.8.8", "9.9.9.9", "151.101.1.1", "185.15.59.224"} {
		b.add(exposure.TCP, "10.1.1.5", s, 443, 30)
	}
	b.failing("10.1.1.5", "52.1.2.3", 443, 50)
	got := learned(t, b, Defaults())
	if !strings.HasPrefix(got, "deny tcp to 52.1.2.3 port 443\n") {
		t.Errorf("%s", got)
	}
}

// Syslog is never answered: it is put before a person.
func TestOneWayServicesAreAsked(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 9).failing("10.1.1.5", "10.2.2.9", 514, 30).failing("10.1.1.5", "10.2.2.9", 4444, 30)
	for _, f := range b.list[9:] {
		f.Proto = exposure.UDP
	}
	want := "permit tcp from 10.1.1.5 to 10.2.2.2 port 443\nask udp from 10.1.1.5 to 10.2.2.9 port 514\n"
	if got := learned(t, b, Defaults()); got != want {
		t.Errorf("%s", got)
	}
}

func TestWindowSaysWhatItCannotKnow(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 9)
	f, _ := mustLearn(t, seq(b.list), Defaults())
	all := strings.Join(f.CannotKnow, "\n")
	for _, want := range []string{"other hours", "Sunday", "does not pass the point"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said in %s", want, all)
		}
	}
	o := Defaults()
	o.From, o.To, o.Losses = monday.AddDate(0, 0, -9), monday.AddDate(0, 0, 1), []string{"4 % of the packets were dropped"}
	f, _ = mustLearn(t, seq(b.list), o)
	all = strings.Join(f.CannotKnow, "\n")
	if !strings.Contains(all, "once a month") || !strings.Contains(all, "4 %") {
		t.Errorf("%s", all)
	}
}

// The same flows give the same file in any order.
func TestOrderDoesNotMatter(t *testing.T) {
	s := newSite(5)
	list := slices.Concat(s.legitimate(monday), s.noise(monday))
	want, _ := mustLearn(t, seq(list), Defaults())
	for seed := range uint64(3) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		got, _ := mustLearn(t, seq(list), Defaults())
		if !bytes.Equal(got.Text(), want.Text()) {
			t.Fatalf("another file:\n%s\n%s", got.Text(), want.Text())
		}
	}
}

// Connections that two sensors saw, and files that are read twice, change
// counts and nothing else.
func TestDuplicatesOpenNothing(t *testing.T) {
	s := newSite(6)
	for _, days := range []int{1, 2} {
		var list []*exposure.Flow
		for d := range days {
			list = append(list, s.legitimate(monday.AddDate(0, 0, d))...)
			list = append(list, s.noise(monday.AddDate(0, 0, d))...)
		}
		once, _ := mustLearn(t, seq(list), Defaults())
		twice, _ := mustLearn(t, seq(list, list), Defaults())
		next := s.legitimate(monday.AddDate(0, 0, days))
		a, b := share(t, once, next), share(t, twice, next)
		cross := s.crossing(monday, next)
		if b < a-0.001 || share(t, twice, cross) > 0.01 {
			t.Errorf("%d days: %.2f %% with duplicates, %.2f %% without; %.2f %% across", days, 100*b, 100*a, 100*share(t, twice, cross))
		}
	}
}

// Every file can be read back, and everything that was learned from passes.
func TestNothingLearnedFromIsCut(t *testing.T) {
	s := newSite(9)
	work := s.legitimate(monday)
	for _, most := range []int{-1, 0, 5, 1} {
		o := Defaults()
		o.MaxRules = most
		f, r := mustLearn(t, seq(work), o)
		if again, err := rulefile.Parse("", f.Text()); err != nil || len(again.Rules) != len(f.Rules) {
			t.Fatalf("%v\n%s", err, f.Text())
		}
		if most > 0 && len(f.Rules) > most {
			t.Errorf("%d rules where %d were asked for", len(f.Rules), most)
		}
		got := replay(t, f, work)
		if got.Denied > r.OneOff+r.TooLight {
			t.Errorf("most %d: %d denied, %d left out", most, got.Denied, r.OneOff+r.TooLight)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	o := Defaults()
	o.MaxPairs = 100
	b := from(monday)
	for i := range 2000 {
		b.add(exposure.TCP, "10.1.1.5", netip.AddrFrom4([4]byte{52, byte(i >> 8), byte(i), 7}).String(), 443, 1)
	}
	l := New(o)
	for _, f := range b.list {
		l.Add(f)
	}
	if len(l.pairs) > 100 || len(l.hosts) > 202 {
		t.Errorf("%d pairs, %d hosts", len(l.pairs), len(l.hosts))
	}
	f, r, err := l.Finish()
	if err != nil || r.Overflow != 1900 || !strings.Contains(strings.Join(f.CannotKnow, " "), "1900") {
		t.Errorf("%v %+v", err, r)
	}
}

func TestNothingToLearn(t *testing.T) {
	b := from(monday).failing("10.1.1.5", "10.2.2.2", 443, 5)
	if _, _, err := Learn(seq(b.list), Defaults()); !errors.Is(err, ErrNoFlows) {
		t.Errorf("%v", err)
	}
	if _, _, err := Learn(seq(nil), Defaults()); !errors.Is(err, ErrNoFlows) {
		t.Errorf("%v", err)
	}
}

// Hostile flows: nothing panics, and what is made can be read.
func TestOddFlows(t *testing.T) {
	odd := []*exposure.Flow{
		{}, {Proto: "tcp"}, {Proto: "nonsense", Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2")},
		{Proto: "tcp", Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("2001:db8::1")},
		{Proto: "47", Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2"), Count: 1 << 60},
		{Proto: "tcp", Client: netip.MustParseAddr("::ffff:10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2"), ServerPort: 443, Count: 50},
		{Proto: "tcp", Client: netip.MustParseAddr("fe80::1%eth0"), Server: netip.MustParseAddr("2001:db8::2"), ServerPort: 443, Count: 50},
		{Proto: "udp", Client: netip.MustParseAddr("2001:db8::1"), Server: netip.MustParseAddr("2001:db8::2"), ServerPort: 53, Count: 50, First: time.Unix(-1<<40, 0)},
		{Proto: "udp", Client: netip.MustParseAddr("fd00::1"), Server: netip.MustParseAddr("fd00:0:0:1::2"), ServerPort: 53, Count: 50, First: time.Unix(1<<33, 0)},
	}
	f, r := mustLearn(t, seq(odd), Defaults())
	if _, err := rulefile.Parse("", f.Text()); err != nil || r.Odd != 4 {
		t.Errorf("%v, %d odd\n%s", err, r.Odd, f.Text())
	}
}
