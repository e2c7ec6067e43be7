package source

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/dialect/iptables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/nettest"
)

// street is a client, a router with the rules, and a server, in three
// namespaces.
type street struct{ client, router, server *nettest.NS }

var wirePorts = []uint16{22, 80, 1500, 65535}

const (
	client4, server4 = "192.0.2.1", "198.51.100.7"
	client6, server6 = "2001:db8::1", "2001:db8:1::7"
	// patience is how long an answer may take. What should be dropped costs
	// it once; what should pass is asked again before it counts as lost.
	patience = 80 * time.Millisecond
)

func newStreet(t *testing.T) *street {
	s := &street{nettest.New(t), nettest.New(t), nettest.New(t)}
	nettest.Veth(t, s.client, s.router, "eth0="+client4+"/24", "em0=192.0.2.254/24")
	nettest.Veth(t, s.server, s.router, "eth0="+server4+"/24", "em1=198.51.100.254/24")
	s.router.Script("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n" +
		"ip -6 addr add 2001:db8::fe/64 dev em0 nodad\nip -6 addr add 2001:db8:1::fe/64 dev em1 nodad")
	s.client.Script("ip -6 addr add " + client6 + "/64 dev eth0 nodad\nip route add default via 192.0.2.254\nip -6 route add default via 2001:db8::fe")
	s.server.Script("ip -6 addr add " + server6 + "/64 dev eth0 nodad\nip route add default via 198.51.100.254\nip -6 route add default via 2001:db8:1::fe")
	for _, ip := range []string{server4, server6} {
		for _, port := range wirePorts {
			at := netip.AddrPortFrom(netip.MustParseAddr(ip), port).String()
			s.server.Listen("tcp", at)
			go echo(s.server.ListenPacket("udp", at))
		}
	}
	s.open(t)
	return s
}

// open waits until everything answers without rules: IPv6 takes its time to
// find its addresses unique.
func (s *street) open(t *testing.T) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for _, p := range probes() {
		for !s.answered(p) {
			if time.Now().After(end) {
				t.Fatal("without rules nothing answers:", p)
			}
		}
	}
}

// echo answers datagrams until the socket is closed.
func echo(c net.PacketConn) {
	buf := make([]byte, 64)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(buf[:n], from)
	}
}

// probe is a packet that begins a connection through the router.
type probe struct {
	network string
	to      netip.AddrPort
}

func (p probe) String() string { return fmt.Sprint(p.network, " ", p.to) }

func (p probe) packet() ruleset.Packet {
	src, proto, sport, dport := netip.MustParseAddr(client4), uint8(6), uint16(40000), p.to.Port()
	if p.to.Addr().Is6() {
		src = netip.MustParseAddr(client6)
	}
	if p.network == "udp" {
		proto = 17
	}
	return ruleset.Packet{Proto: proto, Src: src, Dst: p.to.Addr(), SrcPort: &sport, DstPort: &dport, In: "em0", Out: "em1"}
}

func probes() (out []probe) {
	for _, network := range []string{"tcp", "udp"} {
		for _, ip := range []string{server4, server6} {
			for _, port := range wirePorts {
				out = append(out, probe{network, netip.AddrPortFrom(netip.MustParseAddr(ip), port)})
			}
		}
	}
	return out
}

// answered sends the packet and reports whether the server's answer came.
func (s *street) answered(p probe) (yes bool) {
	s.client.Do(func() {
		c, err := net.DialTimeout(p.network, p.to.String(), patience)
		if err != nil {
			return
		}
		defer c.Close()
		if p.network == "tcp" {
			yes = true
			return
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err = c.Write([]byte("x")); err == nil {
			_, err = c.Read(make([]byte, 8))
		}
		yes = err == nil
	})
	return yes
}

// check compares what the kernel does with what the file means, and with what
// we say of the rules as they are written.
func (s *street) check(t *testing.T, what string, rules []rulefile.Resolved, written *ruleset.RuleSet) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range probes() {
		all.Go(func() {
			want := verdictOf(rules, p.packet())
			d, err := written.Query(p.packet(), "")
			if err != nil || d.Verdict != want {
				t.Errorf("%s: %v: the file means %s, asked what is written says %+v %v", what, p, want, d, err)
			}
			got := s.answered(p)
			for range 20 {
				if got || want == ruleset.DenyPacket {
					break
				}
				got = s.answered(p)
			}
			// A connection of an earlier rule set may have had the same ports,
			// and be established yet.
			for range 3 {
				if !got || want != ruleset.DenyPacket {
					break
				}
				got = s.answered(p)
			}
			if got != (want == ruleset.PermitPacket) {
				t.Errorf("%s: %v: the file means %s, answered: %v", what, p, want, got)
			}
		})
	}
	all.Wait()
}

// drawWireFile draws rules that meet the probes.
func drawWireFile(t *rapid.T) *rulefile.File {
	f := &rulefile.File{Schema: rulefile.Schema, Name: "t"}
	for range rapid.IntRange(1, 6).Draw(t, "rules") {
		v6 := rapid.Bool().Draw(t, "v6")
		from, to := []string{"192.0.2.0/24", client4, "192.0.2.2-192.0.2.9"}, []string{server4, "198.51.100.0/29", "198.51.100.8"}
		if v6 {
			from, to = []string{"2001:db8::/64", client6, "2001:db8::2"}, []string{server6, "2001:db8:1::/64", "2001:db8:1::8/125"}
		}
		list := func(of []string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID[string]).Draw(t, "list")
		}
		f.Rules = append(f.Rules, rulefile.Rule{
			Action: rapid.SampledFrom([]string{"permit", "permit", "deny"}).Draw(t, "action"),
			Proto:  rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "proto"),
			From:   list(from), To: list(to), Ports: list([]string{"22", "80", "1000-2000", "0-79", "65535", "1500-65535"}),
			In: rapid.SampledFrom([]string{"", "", "em0", "em*", "em1"}).Draw(t, "in"),
		})
	}
	return f
}

// Rules that were written for nftables and iptables let through a real router
// what the file permits and nothing else, and a question about what was
// written is answered as the kernel does.
func TestWrittenRulesFilterRealPackets(t *testing.T) {
	for _, tool := range []string{"nft", "iptables-restore", "ip6tables-restore"} {
		nettest.Need(t, tool)
	}
	s := newStreet(t)
	file := filepath.Join(t.TempDir(), "rules")
	for seed := 1; seed <= 20; seed++ {
		f := rapid.Custom(drawWireFile).Example(seed)
		rules, err := f.Active()
		if err != nil {
			t.Fatal(err)
		}
		if seed%2 == 0 {
			s.nftables(t, f, rules, file, seed)
		} else {
			s.iptables(t, f, rules, file, seed)
		}
	}
}

func (s *street) nftables(t *testing.T, f *rulefile.File, rules []rulefile.Resolved, file string, seed int) {
	text := rendered(t, f, func(w *bytes.Buffer) ([]string, error) {
		return nftables.Render(w, f, nftables.RenderOptions{})
	})
	write(t, file, text)
	s.router.Run("nft", "-f", file)
	s.check(t, fmt.Sprint("nftables ", seed), rules, readBack(t, text))
	s.router.Run("nft", "flush", "ruleset")
}

func (s *street) iptables(t *testing.T, f *rulefile.File, rules []rulefile.Resolved, file string, seed int) {
	both := &ruleset.RuleSet{}
	for tool, families := range map[string]ruleset.Families{"iptables": ruleset.IPv4, "ip6tables": ruleset.IPv6} {
		text := rendered(t, f, func(w *bytes.Buffer) ([]string, error) {
			return iptables.Render(w, f, iptables.RenderOptions{Families: families})
		})
		write(t, file, text)
		s.router.Run(tool+"-restore", file)
		both.Chains = append(both.Chains, readBack(t, "# Generated by "+tool+"-save\n"+text).Chains...)
	}
	both.Prepare()
	s.check(t, fmt.Sprint("iptables ", seed), rules, both)
	s.router.Run("nft", "flush", "ruleset")
}

func readBack(t *testing.T, text string) *ruleset.RuleSet {
	t.Helper()
	src, err := Read(bytes.NewReader([]byte(text)), "written", Auto)
	if err != nil {
		t.Fatal(err)
	}
	return src.Rules
}
