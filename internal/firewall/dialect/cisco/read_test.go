package cisco

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func read(t *testing.T, text string) *ruleset.RuleSet {
	t.Helper()
	set, problems, err := Read(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	set.Prepare()
	return set
}

// packet reads "IN OUT proto src[:port] dst[:port] [state]"; "-" is no interface.
func packet(s string) ruleset.Packet {
	f := strings.Fields(s)
	p := ruleset.Packet{Proto: map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "esp": 50}[f[2]]}
	p.In, p.Out = strings.Trim(f[0], "-"), strings.Trim(f[1], "-")
	for i, to := range []*netip.Addr{&p.Src, &p.Dst} {
		if ap, err := netip.ParseAddrPort(f[3+i]); err == nil {
			*to = ap.Addr()
			port := ap.Port()
			switch {
			case p.Proto != 6 && p.Proto != 17:
				kind := uint8(port)
				p.ICMPType = &kind
			case i == 0:
				p.SrcPort = &port
			default:
				p.DstPort = &port
			}
			continue
		}
		*to = netip.MustParseAddr(f[3+i])
	}
	if len(f) > 5 {
		p.State = f[5]
	}
	return p
}

type question struct{ packet, chain, want string }

func ask(t *testing.T, text string, list []question) {
	t.Helper()
	set := read(t, text)
	for _, q := range list {
		d, err := set.Query(packet(q.packet), q.chain)
		if err != nil || d.Verdict != q.want {
			t.Errorf("%s %s: %s, want %s (line %d %s %s; %v)", q.chain, q.packet, d.Verdict, q.want, d.Line, d.Rule, d.Why, err)
		}
	}
}

func TestIOS(t *testing.T) {
	ask(t, `
hostname r1
object-group network SERVERS
 description three
 host 192.0.2.10
 192.0.2.32 255.255.255.224
 range 192.0.2.100 192.0.2.110
 group-object MORE
object-group network MORE
 host 192.0.2.200
object-group service WEB
 tcp eq www
 tcp range 8000 8010
 udp source eq domain
 icmp echo
!
interface GigabitEthernet0/0/0.100
 ip address 198.51.100.1 255.255.255.0
 ip access-group OUTSIDE in
 ipv6 traffic-filter V6 in
interface GigabitEthernet0/1
 ip access-group 101 out
!
access-list 10 permit 192.0.2.0 0.0.0.255
access-list 10 deny host 203.0.113.1 log
access-list 10 permit 203.0.113.0 0.0.0.254
access-list 101 remark to the inside
access-list 101 permit tcp any any established
access-list 101 deny   udp any host 192.0.2.53 neq domain 5353
access-list 101 permit udp any host 192.0.2.53
access-list 101 permit icmp any any unreachable
access-list 101 permit icmp any any host-unreachable log
access-list 101 permit icmp any any 8 0
access-list 101 permit tcp any any match-all +syn -ack
ip access-list extended OUTSIDE
 20 permit tcp any host 192.0.2.1 eq 22 telnet
 30 permit object-group WEB any object-group SERVERS
 10 deny ip 203.0.113.0 0.0.0.255 any
 40 permit tcp 10.0.10.0 0.255.0.255 gt 1023 any lt 100 log-input
 50 permit esp any any dscp ef
ipv6 access-list V6
 permit tcp any host 2001:DB8::1 eq 443
 sequence 5 deny tcp any any
`, []question{
		{"- - tcp 192.0.2.7 8.8.8.8", "10", "permit"},
		{"- - tcp 203.0.113.1 8.8.8.8", "10", "deny"},
		{"- - tcp 203.0.113.4 8.8.8.8", "10", "permit"},
		{"- - tcp 203.0.113.5 8.8.8.8", "10", "deny"},
		{"- - tcp 8.8.8.8:80 192.0.2.7:1024 established", "101", "permit"},
		{"- - udp 8.8.8.8:80 192.0.2.53:53", "101", "permit"},
		{"- - udp 8.8.8.8:80 192.0.2.53:5353", "101", "permit"},
		{"- - udp 8.8.8.8:80 192.0.2.53:54", "101", "deny"},
		{"- - icmp 8.8.8.8 192.0.2.53:3", "101", "permit"},
		{"- - icmp 8.8.8.8 192.0.2.53:5", "101", "deny"},
		{"- - tcp 8.8.8.8:80 192.0.2.7:1024", "101", "permit"},
		{"GigabitEthernet0/0/0.100 - tcp 8.8.8.8:1024 192.0.2.1:23", "", "permit"},
		{"GigabitEthernet0/0/0.100 - tcp 203.0.113.7:1024 192.0.2.1:23", "", "deny"},
		{"GigabitEthernet0/0/0.100 - tcp 8.8.8.8:1024 192.0.2.200:8005", "", "permit"},
		{"GigabitEthernet0/0/0.100 - tcp 8.8.8.8:1024 192.0.2.105:80", "", "permit"},
		{"GigabitEthernet0/0/0.100 - tcp 8.8.8.8:1024 192.0.2.111:80", "", "deny"},
		{"GigabitEthernet0/0/0.100 - udp 8.8.8.8:53 192.0.2.33:999", "", "permit"},
		{"GigabitEthernet0/0/0.100 - udp 8.8.8.8:54 192.0.2.33:999", "", "deny"},
		{"GigabitEthernet0/0/0.100 - tcp 10.77.10.3:1024 192.0.2.111:99", "", "permit"},
		{"GigabitEthernet0/0/0.100 - tcp 10.77.11.3:1024 192.0.2.111:99", "", "deny"},
		{"GigabitEthernet0/0/0.100 GigabitEthernet0/1 tcp 8.8.8.8:1024 192.0.2.1:22", "", "permit"},
		{"GigabitEthernet0/0/0.100 GigabitEthernet0/1 udp 8.8.8.8:53 192.0.2.33:999", "", "deny"},
		{"GigabitEthernet0/0/0.100 - tcp [2001:db8::9]:1024 [2001:db8::1]:443", "V6", "permit"},
		{"GigabitEthernet0/0/0.100 - icmp6 2001:db8::9 [2001:db8::1]:135", "V6", "permit"},
		{"GigabitEthernet0/0/0.100 - icmp6 2001:db8::9 [2001:db8::1]:128", "V6", "deny"},
	})
}

func TestASA(t *testing.T) {
	ask(t, `ASA Version 9.16(4)
names
name 192.0.2.80 web
interface GigabitEthernet0/0
 nameif outside
interface GigabitEthernet0/1
 nameif inside
object network db
 subnet 198.51.100.0 255.255.255.0
object network two
 range 192.0.2.5 192.0.2.6
object service proxy
 service tcp source gt 1023 destination eq 3128
object-group network ADMINS
 network-object host 203.0.113.9
 network-object object two
object-group service MGMT tcp
 port-object eq ssh
 port-object range 8440 8443
object-group service ANY-WEB
 service-object tcp destination eq https
 service-object udp destination eq 443
object-group protocol TU
 protocol-object tcp
 protocol-object udp
object-group icmp-type PINGS
 icmp-object echo
access-list OUT extended permit tcp object-group ADMINS object db object-group MGMT
access-list OUT extended permit object-group ANY-WEB any4 host web
access-list OUT extended permit object proxy any any
access-list OUT extended permit object-group TU any host 192.0.2.53 eq domain
access-list OUT extended permit icmp any any object-group PINGS
access-list OUT extended permit tcp any host 192.0.2.99 eq 99 inactive
access-list OUT extended permit tcp any6 host 2001:db8::5 eq 25 log warnings interval 10
access-list GLOBAL extended permit tcp any any eq 7777
access-group OUT in interface outside
access-group GLOBAL global
`, []question{
		{"outside - tcp 203.0.113.9:1024 198.51.100.3:22", "", "permit"},
		{"outside - tcp 192.0.2.6:1024 198.51.100.3:8443", "", "permit"},
		{"outside - tcp 192.0.2.7:1024 198.51.100.3:8443", "", "deny"},
		{"outside - udp 8.8.8.8:1024 192.0.2.80:443", "", "permit"},
		{"outside - tcp 8.8.8.8:1024 192.0.2.81:443", "", "deny"},
		{"outside - tcp 8.8.8.8:1024 192.0.2.81:3128", "", "permit"},
		{"outside - tcp 8.8.8.8:1023 192.0.2.81:3128", "", "deny"},
		{"outside - udp 8.8.8.8:1023 192.0.2.53:53", "", "permit"},
		{"outside - icmp 8.8.8.8 192.0.2.53:8", "", "permit"},
		{"outside - icmp 8.8.8.8 192.0.2.53:13", "", "deny"},
		{"outside - tcp 8.8.8.8:1024 192.0.2.99:99", "", "deny"},
		{"outside - tcp 8.8.8.8:1024 192.0.2.99:99 established", "", "permit"},
		{"outside - tcp [2001:db8::9]:1024 [2001:db8::5]:25", "", "permit"},
		{"outside - tcp 8.8.8.8:1024 192.0.2.99:7777", "", "permit"},
		{"inside - tcp 8.8.8.8:1024 192.0.2.99:7777", "", "permit"},
		{"inside - tcp 8.8.8.8:1024 192.0.2.99:7778", "", "deny"},
	})
	ask(t, "access-list DSMO extended permit ip 128.168.0.0 191.255.255.128 any\n", []question{
		{"- - tcp 192.168.0.127 8.8.8.8", "DSMO", "permit"},
		{"- - tcp 128.168.0.1 8.8.8.8", "DSMO", "permit"},
		{"- - tcp 128.168.0.128 8.8.8.8", "DSMO", "deny"},
		{"- - tcp 160.168.0.1 8.8.8.8", "DSMO", "deny"},
	})
}

func TestNexusAndEOS(t *testing.T) {
	ask(t, `!Command: show running-config
object-group ip address HOSTS
  10 host 192.0.2.1
  20 192.0.2.64/26
  30 198.51.100.0 0.0.0.255
object-group ip port PORTS
  10 eq 80
  20 range 8000 8010
ip access-list EDGE
  statistics per-entry
  10 remark first
  20 permit tcp any addrgroup HOSTS portgroup PORTS
  30 deny ip any any ttl eq 255 log
  40 permit udp 192.0.2.0/24 any eq ntp
ipv4 access-list XR
 10 permit tcp 203.0.113.0 0.0.0.255 any eq bgp
 20 permit ipv4 host 192.0.2.9 any
`, []question{
		{"- - tcp 8.8.8.8:1024 198.51.100.7:8001", "EDGE", "permit"},
		{"- - tcp 8.8.8.8:1024 192.0.2.63:80", "EDGE", "deny"},
		{"- - udp 192.0.2.63:1 8.8.8.8:124", "EDGE", "deny"},
		{"- - tcp 203.0.113.8:1024 192.0.2.63:179", "XR", "permit"},
		{"- - udp 192.0.2.9:1024 192.0.2.63:179", "XR", "permit"},
		{"- - udp 192.0.2.8:1024 192.0.2.63:179", "XR", "deny"},
	})
}

// What is not understood makes a verdict unknown, and is named with its place.
func TestProblems(t *testing.T) {
	text := `object-group network A
 group-object B
object-group network B
 group-object A
access-list X extended permit tcp object-group A any eq 80
access-list X extended permit tcp any any eq nosuchport
access-list X extended permit tcp any any eq 22 teleport
access-list X extended permit nosuch any any
`
	set, problems, err := Read(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Prepare()
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Why))
	}
	want := "4:0 the group A holds itself|2:0 group B: the group A holds itself|5:50 group A: group B: the group A holds itself|6:46 no port: nosuchport|7:49 not understood: teleport|8:31 no protocol: nosuch"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("problems\n %s, want\n %s", s, want)
	}
	for q, want := range map[string]string{"- - tcp 8.8.8.8:1 8.8.4.4:80": "unknown", "- - udp 8.8.8.8:1 8.8.4.4:80": "unknown"} {
		if d, err := set.Query(packet(q), "X"); err != nil || d.Verdict != want {
			t.Errorf("%s: %+v %v", q, d, err)
		}
	}
	for _, bad := range []string{"", "hello\nworld\n", "permit ip any any\n"} {
		if _, _, err := Read(strings.NewReader(bad), Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Wildcard bits, written out or as a mask, agree with the bits one by one.
func TestWildcardsBitByBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ip, free := rapid.Uint32().Draw(t, "ip"), rapid.Uint32().Draw(t, "free")
		free &= rapid.SampledFrom([]uint32{0xff, 0xff00ff, 0x0f0f0f0f, 0x01010101, 0xffffffff}).Draw(t, "some")
		to4 := func(n uint32) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		a := masked(to4(ip), to4(free), wildcard)
		b := masked(to4(ip), to4(^free), netmask)
		for range 20 {
			x := rapid.Uint32().Draw(t, "x")
			if rapid.Bool().Draw(t, "near") {
				x = ip ^ x&free
			}
			want := (x^ip)&^free == 0
			if has(a, to4(x)) != want || has(b, to4(x)) != want {
				t.Fatalf("%v & %v: %v is %v", to4(ip), to4(free), to4(x), want)
			}
		}
	})
}

func has(a *addresses, ip netip.Addr) bool {
	v := ruleset.Address(ip)
	for _, m := range a.masked {
		if v.And(m.mask) == m.value.And(m.mask) && m.value == m.value.And(m.mask) {
			return true
		}
	}
	return a.set.Has(v)
}

func TestLongLists(t *testing.T) {
	var b strings.Builder
	b.WriteString("ip access-list extended LONG\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, " permit tcp host 10.%d.%d.%d any eq %d\n", i>>16, i>>8&255, i&255, i%65536)
	}
	set := read(t, b.String())
	if n := len(set.Chains[0].Rules); n != 100_000 {
		t.Error(n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("access-list 1 permit 10.0.0.0 0.255.0.255 log\naccess-list 101 deny tcp any range 1 5 host 1.1.1.1 established\n")
	f.Add("object-group network A\n group-object A\naccess-list X line 1 extended permit ip object-group A any (hitcnt=5) 0x12345678\n  access-list X line 1 extended permit ip any any (hitcnt=5) 0x12345678\naccess-group X global\n")
	f.Add("IP access list N\n  10 permit tcp any addrgroup G portgroup P [match=5]\nobject-group ip port P\n 10 eq 5\nno access-list 1\n")
	f.Add("ipv6 access-list V\n permit icmp any any nd-na sequence 5\ninterface e0\n ipv6 traffic-filter V in\n ip access-group V out\n")
	f.Fuzz(func(t *testing.T, s string) {
		set, _, err := Read(strings.NewReader(s), Options{})
		if err == nil {
			set.Prepare()
		}
	})
}
