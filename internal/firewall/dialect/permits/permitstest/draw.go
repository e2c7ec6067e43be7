package permitstest

import (
	"fmt"
	"net/netip"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

var (
	names     = []string{"web", "it's \"quoted\" $(calc) `n; | #", "a\nb: c", "${x} %{y}", ""}
	protocols = []string{"tcp", "tcp", "udp", "any", "icmp", "icmp6", "sctp", "47"}
	prefixes4 = []string{"192.0.2.0/24", "192.0.2.64/26", "192.0.2.7", "192.0.2.5-192.0.2.77", "0.0.0.0/0"}
	prefixes6 = []string{"2001:db8::/32", "2001:db8::1", "2001:db8::2-2001:db9::", "::/0"}
	portList  = []string{"22", "80", "20-100", "0-65535", "60000-65535"}
	typeList  = []string{"8", "3/4", "3", "0/0"}
)

// File draws a rule file.
func File(t *rapid.T) *rulefile.File {
	f := &rulefile.File{Schema: rulefile.Schema, Name: rapid.SampledFrom([]string{"", "dmz", "O'Brien's ‘rules’"}).Draw(t, "name")}
	for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
		f.Rules = append(f.Rules, rule(t, i))
	}
	return f
}

func some(t *rapid.T, from []string, label string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 2, rapid.ID[string]).Draw(t, label)
}

func rule(t *rapid.T, i int) rulefile.Rule {
	r := rulefile.Rule{Name: rapid.SampledFrom(names).Draw(t, "rule"), Comment: rapid.SampledFrom(names).Draw(t, "comment"),
		Action: rapid.SampledFrom([]string{"permit", "permit", "deny", "ask"}).Draw(t, "action"), Proto: rapid.SampledFrom(protocols).Draw(t, "proto")}
	prefixes := prefixes4
	if r.Proto == "icmp6" || r.Proto != "icmp" && rapid.Bool().Draw(t, "IPv6") {
		prefixes = prefixes6
	}
	r.From, r.To = some(t, prefixes, "from"), some(t, prefixes, "to")
	switch r.Proto {
	case "tcp", "udp", "sctp":
		r.Ports = some(t, portList, "ports")
		if rapid.IntRange(0, 5).Draw(t, "has from ports") == 0 {
			r.FromPorts = some(t, portList, "from ports")
		}
	case "icmp", "icmp6":
		r.Types = some(t, typeList, "types")
	}
	if rapid.IntRange(0, 9).Draw(t, "has interface") == 0 {
		r.In = "eth0"
	}
	if rapid.IntRange(0, 9).Draw(t, "is dynamic") == 0 {
		r.Dynamic = "ftp"
	}
	r.Line = i + 1
	return r
}

// Packet draws a packet near the edges of what File draws.
func Packet(t *rapid.T) rulefile.Packet {
	addrs := []string{"192.0.2.0", "192.0.2.5", "192.0.2.7", "192.0.2.64", "192.0.2.77", "192.0.2.78", "192.0.2.128", "198.51.100.1", "255.255.255.255"}
	protocols := []uint8{6, 6, 17, 1, 132, 47, 50}
	if rapid.Bool().Draw(t, "v6") {
		protocols = []uint8{6, 6, 17, 58, 132, 47, 50}
		addrs = []string{"2001:db8::1", "2001:db8::2", "2001:db9::", "::", "::2:0:0:0", "ffff::"}
	}
	addr := rapid.SampledFrom(addrs)
	ports := rapid.SampledFrom([]uint16{1, 19, 20, 22, 23, 80, 100, 101, 59999, 60000, 65535})
	p := rulefile.Packet{Proto: rapid.SampledFrom(protocols).Draw(t, "proto"),
		Src: netip.MustParseAddr(addr.Draw(t, "src")), Dst: netip.MustParseAddr(addr.Draw(t, "dst"))}
	switch p.Proto {
	case 6, 17, 132:
		p.SrcPort, p.DstPort = ports.Draw(t, "sport"), ports.Draw(t, "dport")
	case 1, 58:
		p.Type, p.Code = rapid.SampledFrom([]uint8{0, 3, 8, 9}).Draw(t, "type"), rapid.SampledFrom([]uint8{0, 4, 5}).Draw(t, "code")
	}
	return p
}

// Verdict is what the file does with a packet: the first rule that fits
// decides, without one it is denied. Rules that leave reports are passed over.
func Verdict(f *rulefile.File, p rulefile.Packet, leave func(*rulefile.Resolved) bool) (permit bool, err error) {
	rules, err := f.Active()
	if err != nil {
		return false, err
	}
	for i := range rules {
		if r := &rules[i]; !leave(r) && r.Fits(p) {
			return r.Action == rulefile.Permit, nil
		}
	}
	return false, nil
}

// Query makes a question of a packet.
func Query(p rulefile.Packet) ruleset.Packet {
	q := ruleset.Packet{Proto: p.Proto, Src: p.Src, Dst: p.Dst}
	switch p.Proto {
	case 6, 17, 132:
		q.SrcPort, q.DstPort = &p.SrcPort, &p.DstPort
	case 1, 58:
		q.ICMPType, q.ICMPCode = &p.Type, &p.Code
	}
	return q
}

// Show writes a packet for a failed test.
func Show(p rulefile.Packet) string { return fmt.Sprintf("%+v", p) }
