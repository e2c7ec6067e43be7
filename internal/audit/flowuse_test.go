package audit

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
)

func addr16(s string) [16]byte { return netip.MustParseAddr(s).As16() }

func tcpFlow(client, server string, port uint16, history string) *flow.Flow {
	f := &flow.Flow{Proto: 6, Client: addr16(client), Server: addr16(server), ClientPort: 40000, ServerPort: port,
		History: history, First: int64(time.Hour), Last: int64(2 * time.Hour)}
	for _, c := range history {
		switch {
		case c >= 'a':
			f.PacketsToClient++
		case c >= 'A' && c <= 'Z':
			f.PacketsToServer++
		}
	}
	return f
}

func udpFlow(client, server string, port uint16, to, from uint64) *flow.Flow {
	return &flow.Flow{Proto: 17, Client: addr16(client), Server: addr16(server), ClientPort: 40000, ServerPort: port,
		PacketsToServer: to, PacketsToClient: from, Last: int64(time.Hour)}
}

func sock(proto exposure.Proto, addr string, port uint16) exposure.Socket {
	s := on(listener(port, "x"), addr)
	s.Proto = proto
	if proto == exposure.UDP {
		s.State = exposure.Unconnected
	}
	return s
}

// Histories as Zeek writes them for connections, and for what scanners send.
func TestUseIsAHandshakeOrDataBothWays(t *testing.T) {
	refused := udpFlow("10.0.0.9", "10.0.0.1", 53, 9, 0)
	refused.Refused = 9
	ntp := udpFlow("10.0.0.9", "10.0.0.1", 123, 1, 1)
	ntp.ClientPort, ntp.History = 123, "^dD"
	vpn := udpFlow("10.0.0.9", "10.0.0.1", 51820, 9, 9)
	vpn.ClientPort, vpn.History = 51820, "^dD"
	closedUDP := udpFlow("10.0.0.9", "10.0.0.1", 53, 2, 2)
	closedUDP.Refused = 1
	noHistory := tcpFlow("10.0.0.9", "10.0.0.1", 80, "")
	noHistory.State = flow.SF
	sctp, init := udpFlow("10.0.0.9", "10.0.0.1", 80, 2, 2), udpFlow("10.0.0.9", "10.0.0.1", 80, 2, 1)
	sctp.Proto, init.Proto = 132, 132
	for name, c := range map[string]struct {
		f    *flow.Flow
		want useKind
	}{
		"a whole connection":             {tcpFlow("10.0.0.9", "10.0.0.1", 80, "ShADadFf"), twoWay},
		"completed and closed":           {tcpFlow("10.0.0.9", "10.0.0.1", 80, "ShAFf"), twoWay},
		"from the midst":                 {tcpFlow("10.0.0.9", "10.0.0.1", 80, "DadA"), twoWay},
		"from the midst, turned":         {tcpFlow("10.0.0.9", "10.0.0.1", 80, "^dA"), twoWay},
		"one direction of it":            {tcpFlow("10.0.0.9", "10.0.0.1", 80, "SADF"), twoWay},
		"the other direction":            {tcpFlow("10.0.0.9", "10.0.0.1", 80, "^hadf"), twoWay},
		"no history, but a state":        {noHistory, twoWay},
		"a SYN":                          {tcpFlow("10.0.0.9", "10.0.0.1", 80, "S"), noUse},
		"a SYN scan of an open port":     {tcpFlow("10.0.0.9", "10.0.0.1", 80, "ShR"), noUse},
		"a SYN scan that went away":      {tcpFlow("10.0.0.9", "10.0.0.1", 80, "Shhh"), noUse},
		"refused":                        {tcpFlow("10.0.0.9", "10.0.0.1", 80, "Sr"), noUse},
		"an ACK scan":                    {tcpFlow("10.0.0.9", "10.0.0.1", 80, "Ar"), noUse},
		"a FIN scan":                     {tcpFlow("10.0.0.9", "10.0.0.1", 80, "Fr"), noUse},
		"a SYN-ACK out of nothing":       {tcpFlow("10.0.0.9", "10.0.0.1", 80, "Hr"), noUse},
		"question and answer":            {udpFlow("10.0.0.9", "10.0.0.1", 53, 1, 1), twoWay},
		"answer came too late":           {closedUDP, twoWay},
		"a datagram":                     {udpFlow("10.0.0.9", "10.0.0.1", 53, 1, 0), onlySent},
		"refused datagrams":              {refused, noUse},
		"NTP asks from its own port":     {ntp, noUse},
		"a peer on a port of both":       {vpn, twoWay},
		"the listener only talks":        {udpFlow("10.0.0.9", "10.0.0.1", 53, 0, 5), noUse},
		"an SCTP association":            {sctp, twoWay},
		"an SCTP INIT, given up":         {init, noUse},
		"pings are no use of a listener": {&flow.Flow{Proto: 1, PacketsToServer: 5, PacketsToClient: 5}, noUse},
	} {
		if got := useOf(c.f); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func usedBy(us []exposure.Usage) map[string]string {
	out := map[string]string{}
	for _, u := range us {
		out[u.Endpoint.String()+u.Endpoint.Device] = addrList(u.Clients, 9)
	}
	return out
}

// The kernel's choice: address before device before family.
func TestFlowsGoToTheListenerThatTheKernelChooses(t *testing.T) {
	dual := sock(exposure.TCP, "::", 80)
	dual.DualStack = true
	six := sock(exposure.TCP, "::", 81)
	dev := sock(exposure.UDP, "0.0.0.0", 53)
	dev.Device = "eth0"
	otherNS := sock(exposure.TCP, "0.0.0.0", 82)
	otherNS.NetNS = other
	u := NewFlowUsage(UseOptions{AllKnown: true, Own: []exposure.OwnAddress{{IP: lan, Interface: "eth0"},
		{IP: netip.MustParseAddr("10.1.0.1"), Interface: "eth1"}, {IP: netip.MustParseAddr("fe80::1%eth0"), Interface: "eth0"}}})
	u.Listen(self, []exposure.Socket{dual, six, dev, otherNS, sock(exposure.TCP, "10.0.0.1", 80), sock(exposure.TCP, "0.0.0.0", 80),
		sock(exposure.UDP, "0.0.0.0", 53), sock(exposure.TCP, "::ffff:10.0.0.1", 83), sock(exposure.TCP, "fe80::1%eth0", 84), sock(exposure.UDP, "0.0.0.0", 5353)})
	for _, f := range []*flow.Flow{
		tcpFlow("10.0.0.21", "10.0.0.1", 80, "ShAD"), tcpFlow("10.0.0.22", "10.1.0.1", 80, "ShAD"),
		tcpFlow("fe80::9", "fe80::1", 80, "ShAD"), tcpFlow("127.0.0.1", "127.0.0.1", 80, "ShAD"),
		tcpFlow("10.0.0.23", "10.0.0.1", 81, "ShAD"), tcpFlow("10.0.0.24", "10.0.0.1", 82, "ShAD"),
		tcpFlow("10.0.0.25", "10.0.0.1", 83, "ShAD"), tcpFlow("fe80::8", "fe80::1", 84, "ShAD"),
		tcpFlow("10.0.0.1", "192.0.2.1", 80, "ShAD"), // our own asking elsewhere
		udpFlow("10.0.0.26", "10.0.0.1", 53, 1, 1), udpFlow("10.0.0.27", "10.1.0.1", 53, 1, 1),
		udpFlow("10.0.0.28", "224.0.0.251", 5353, 4, 0),
	} {
		u.Add(f)
	}
	want := map[string]string{"tcp/10.0.0.1:80": "10.0.0.21", "tcp/0.0.0.0:80": "10.0.0.22, 127.0.0.1", "tcp/[::]:80": "fe80::9", "tcp/[::]:81": "",
		"tcp/[::ffff:10.0.0.1]:83": "10.0.0.25", "tcp/[fe80::1%eth0]:84": "fe80::8", "udp/0.0.0.0:53eth0": "10.0.0.26", "udp/0.0.0.0:53": "10.0.0.27",
		"udp/0.0.0.0:5353": "10.0.0.28"}
	got := usedBy(u.Usage())
	got["tcp/0.0.0.0:80"] = strings.Join(slices.Sorted(slices.Values(strings.Split(got["tcp/0.0.0.0:80"], ", "))), ", ")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if c := u.Census(); c.Local != 1 || c.Outside != 10 {
		t.Errorf("census %+v", c)
	}
}

// twinUsage counts the plain way: all flows are kept, each listener looks at
// all of them.
func twinUsage(own []netip.Addr, socks []exposure.Socket, flows []*flow.Flow) []exposure.Usage {
	mine := func(a netip.Addr) bool { return a.IsLoopback() || slices.Contains(own, a) }
	var out []exposure.Usage
	for i := range socks {
		s := &socks[i]
		u := exposure.Usage{Endpoint: exposure.Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port}}
		sentBy := map[netip.Addr]uint64{}
		takes := func(f *flow.Flow) bool {
			to := flowAddr(f.Server)
			if f.ServerPort != s.Port || exposure.ProtoByNumber(f.Proto) != s.Proto || !mine(to) || !Takes(s, to) {
				return false
			}
			closer := func(o *exposure.Socket) bool { // another one that the kernel prefers
				exact := func(x *exposure.Socket) bool { return !x.Addr.IP.IsUnspecified() }
				if exact(o) != exact(s) {
					return exact(o)
				}
				return o.Addr.IP.Is4() && !s.Addr.IP.Is4()
			}
			return !slices.ContainsFunc(socks, func(o exposure.Socket) bool {
				return o.Proto == s.Proto && o.Port == s.Port && Takes(&o, to) && closer(&o)
			})
		}
		for _, f := range flows {
			if takes(f) && useOf(f) == onlySent {
				sentBy[flowAddr(f.Client)] += f.PacketsToServer
			}
		}
		for _, f := range flows {
			c := flowAddr(f.Client)
			if !takes(f) || useOf(f) == noUse || useOf(f) == onlySent && sentBy[c] < fewDatagrams {
				continue
			}
			u.Packets += f.PacketsToServer + f.PacketsToClient
			if last := time.Unix(0, f.Last).UTC(); last.After(u.Last) {
				u.Last = last
			}
			if !slices.Contains(u.Clients, c) {
				u.Clients = append(u.Clients, c)
				u.Count++
			}
		}
		slices.SortFunc(u.Clients, netip.Addr.Compare)
		out = append(out, u)
	}
	return out
}

func TestFlowUsageAgreesWithATwinInAnyOrder(t *testing.T) {
	histories := []string{"S", "ShR", "Sr", "ShADad", "DadA", "Ar", "SADF", "^dA", ""}
	hosts := []string{"10.0.0.1", "10.1.0.1", "127.0.0.1", "10.0.0.7", "10.0.0.8", "fd00::1", "fd00::7", "::1"}
	binds := []string{"0.0.0.0", "::", "10.0.0.1", "127.0.0.1", "fd00::1"}
	own := []netip.Addr{lan, netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("fd00::1")}
	var o UseOptions
	o.AllKnown = true
	for _, a := range own {
		o.Own = append(o.Own, exposure.OwnAddress{IP: a})
	}
	rapid.Check(t, func(t *rapid.T) {
		var socks []exposure.Socket
		for range rapid.IntRange(1, 8).Draw(t, "listeners") {
			s := sock(rapid.SampledFrom([]exposure.Proto{exposure.TCP, exposure.UDP}).Draw(t, "proto"), rapid.SampledFrom(binds).Draw(t, "bind"), uint16(rapid.IntRange(80, 81).Draw(t, "port")))
			s.DualStack = s.Addr.IP == netip.IPv6Unspecified() && rapid.Bool().Draw(t, "dual")
			if !slices.ContainsFunc(socks, func(x exposure.Socket) bool { return x.Endpoint() == s.Endpoint() }) {
				socks = append(socks, s)
			}
		}
		var flows []*flow.Flow
		for range rapid.IntRange(0, 40).Draw(t, "flows") {
			client, server := rapid.SampledFrom(hosts).Draw(t, "client"), rapid.SampledFrom(hosts).Draw(t, "server")
			port := uint16(rapid.IntRange(80, 82).Draw(t, "server port"))
			f := tcpFlow(client, server, port, rapid.SampledFrom(histories).Draw(t, "history"))
			if rapid.Bool().Draw(t, "udp") {
				f = udpFlow(client, server, port, uint64(rapid.IntRange(0, 3).Draw(t, "to")), uint64(rapid.IntRange(0, 1).Draw(t, "from")))
				f.Refused = uint32(rapid.IntRange(0, 4).Draw(t, "refused") / 4)
			}
			f.Last = int64(rapid.IntRange(1, 1000).Draw(t, "last")) * int64(time.Second)
			flows = append(flows, f)
		}
		u := NewFlowUsage(o)
		u.Listen(self, socks)
		for _, f := range rapid.Permutation(flows).Draw(t, "order") {
			u.Add(f)
		}
		want := twinUsage(own, socks, flows)
		order := func(a, b exposure.Usage) int { return strings.Compare(a.Endpoint.String(), b.Endpoint.String()) }
		got := u.Usage()
		slices.SortFunc(want, order)
		slices.SortFunc(got, order)
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b exposure.Address) bool { return a == b })); d != "" {
			t.Fatalf("-twin +usage:\n%s", d)
		}
	})
}

// An address of which it is not known whose it is forbids "unused".
func TestStrangeAddressesLeaveAListenerUnclear(t *testing.T) {
	u := NewFlowUsage(UseOptions{Own: []exposure.OwnAddress{{IP: lan}}})
	u.Listen(self, []exposure.Socket{sock(exposure.TCP, "0.0.0.0", 80), sock(exposure.TCP, "10.0.0.1", 81), sock(exposure.TCP, "0.0.0.0", 82)})
	for _, port := range []uint16{80, 81, 82} {
		u.Add(tcpFlow("10.0.0.9", "10.9.9.9", port, "ShAD"))
	}
	u.Add(tcpFlow("10.0.0.9", "10.0.0.1", 82, "ShAD"))
	got := u.Usage()
	if len(got) != 2 || got[0].Endpoint.Port != 81 || got[0].AtLeast || got[1].Endpoint.Port != 82 || !got[1].AtLeast || got[1].Count != 1 {
		t.Errorf("%+v", got)
	}
	if s := u.Strange(); len(s) != 1 || s[0].String() != "10.9.9.9" {
		t.Errorf("strange addresses %v", s)
	}
}

// A flood of senders is bounded, and then nobody is called absent.
func TestManySendersAreBounded(t *testing.T) {
	u := NewFlowUsage(UseOptions{AllKnown: true, Own: []exposure.OwnAddress{{IP: lan}}})
	u.Listen(self, []exposure.Socket{sock(exposure.UDP, "0.0.0.0", 53)})
	f := udpFlow("10.0.0.9", "10.0.0.1", 53, 1, 0)
	for i := range maxUsers + 10 {
		f.Client[12], f.Client[13], f.Client[14] = byte(i>>16)|64, byte(i>>8), byte(i)
		u.Add(f)
	}
	if got := u.Usage()[0]; len(u.senders) > maxUsers || got.Count != 0 || !got.AtLeast {
		t.Errorf("%d senders kept, %+v", len(u.senders), got)
	}
}

func TestDoubtsForbidToCallAListenerUnused(t *testing.T) {
	month := func(count int, doubts ...string) *Input {
		in := hostWith(listener(22, "sshd"))
		in.Traffic = &exposure.Traffic{From: now.Add(-31 * 24 * time.Hour), To: now, Source: "packets of x", Doubts: doubts,
			Usage: []exposure.Usage{{Endpoint: exposure.Endpoint{Proto: exposure.TCP, Addr: anyAddr, Port: 22}, Count: count}}}
		if count > 0 {
			in.Traffic.Usage[0].Clients = []netip.Addr{lan}
		}
		return in
	}
	atLeast, patchy := month(0), month(0)
	atLeast.Traffic.Usage[0].AtLeast = true
	patchy.Traffic.Watched = 29 * 24 * time.Hour
	for name, c := range map[string]struct {
		in   *Input
		want []string
	}{
		"nobody in a month":     {month(0), []string{"unused-listener low tcp/0.0.0.0:22"}},
		"but packets were lost": {month(0, "packets were dropped"), []string{}},
		"more than was counted": {atLeast, []string{}},
		"not all of the month":  {patchy, []string{}},
		"only this host":        {month(1), []string{"exposed-beyond-need low tcp/0.0.0.0:22"}},
		"so it seems":           {month(1, "packets were dropped"), []string{}},
	} {
		if got := heard(Judge(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	rep := Judge(month(0, "packets were dropped"))
	if !strings.Contains(strings.Join(rep.Summary.Notes, "\n"), "does not show that nobody else came: packets were dropped") || len(rep.Summary.Traffic.Doubts) != 1 {
		t.Errorf("the doubt is not told: %v", rep.Summary.Notes)
	}
}

func TestJudgeCapture(t *testing.T) {
	clean := flow.Quality{Packets: 1000, Conversations: 100, OneSidedFlows: 90}
	if grade, doubts := JudgeCapture(clean, capture.Stats{Known: true}); grade != "A" || len(doubts) > 0 {
		t.Errorf("scanners make a capture doubtful: %s %v", grade, doubts)
	}
	if grade, doubts := JudgeCapture(clean, capture.Stats{Dropped: 1, Known: true}); grade != "B" || len(doubts) != 1 {
		t.Errorf("one drop: %s %v", grade, doubts)
	}
	if _, doubts := JudgeCapture(flow.Quality{}, capture.Stats{}); len(doubts) != 1 {
		t.Errorf("no packets: %v", doubts)
	}
	if d := (Census{Both: 91, OneWay: 9}).Doubts(); d != nil {
		t.Errorf("a few: %v", d)
	}
	if d := (Census{Both: 90, OneWay: 10}).Doubts(); len(d) != 1 {
		t.Errorf("a tenth: %v", d)
	}
}
