package fwlog

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// told is what a line is written from, and what must be read from it.
type told struct {
	src, dst, nat netip.Addr
	sport, dport  uint16
	natPort       uint16
	udp, deny     bool
}

func (d told) proto() string {
	if d.udp {
		return "udp"
	}
	return "tcp"
}

func (d told) number() int {
	if d.udp {
		return protoUDP
	}
	return protoTCP
}

func (d told) verdict(permit, deny string) string {
	if d.deny {
		return deny
	}
	return permit
}

// mapped is how a Cisco firewall writes the initiator's translation.
func (d told) mapped() string { return fmt.Sprintf("%s/%d", d.nat, d.natPort) }

// writers write a line of each form as the vendors' references give it. Their
// formats are written down here a second time, apart from the readers.
var writers = []struct {
	format  string
	nat     bool // the line tells the translation
	verdict bool // and the verdict
	write   func(d told) string
}{
	{"cisco-asa", false, false, func(d told) string {
		return fmt.Sprintf(`%%ASA-4-106023: Deny %s src outside:%s/%d dst inside:%s/%d by access-group "acl" [0x0, 0x0]`,
			d.proto(), d.src, d.sport, d.dst, d.dport)
	}},
	{"cisco-asa", false, true, func(d told) string {
		return fmt.Sprintf(`%%ASA-6-106100: access-list acl %s %s zone/%s(%d)(LOCAL\a b) -> zone2/%s(%d) hit-cnt 3 300-second interval [0x0, 0x0]`,
			d.verdict("permitted", "denied"), d.proto(), d.src, d.sport, d.dst, d.dport)
	}},
	{"cisco-asa", true, false, func(d told) string {
		return fmt.Sprintf(`%%FTD-6-30201%d: Built inbound %s connection 7 for outside:%s/%d (%s)(LOCAL\u) to inside:%s/%d (%s/%d) (u)`,
			3+2*btoi(d.udp), strings.ToUpper(d.proto()), d.src, d.sport, d.mapped(), d.dst, d.dport, d.dst, d.dport)
	}},
	{"cisco-asa", true, false, func(d told) string {
		return fmt.Sprintf(`%%ASA-6-30201%d: Built outbound %s connection 7 for outside:%s/%d (%s/%d) to inside:%s/%d (%s)`,
			3+2*btoi(d.udp), strings.ToUpper(d.proto()), d.dst, d.dport, d.dst, d.dport, d.src, d.sport, d.mapped())
	}},
	{"cisco-asa", true, true, func(d told) string {
		return fmt.Sprintf(`%%FTD-6-430003: AccessControlRuleAction: %s, SrcIP: %s, DstIP: %s, SrcPort: %d, DstPort: %d, Protocol: %s, NAT_InitiatorIP: %s, NAT_InitiatorPort: %d, ACPolicy: a, b, NAPPolicy: x`,
			d.verdict("Trust", "Block with reset"), d.src, d.dst, d.sport, d.dport, d.proto(), d.nat, d.natPort)
	}},
	{"cisco-ios", false, true, func(d told) string {
		return fmt.Sprintf(`%%SEC-6-IPACCESSLOGP: list 101 %s %s %s(%d) (Gi0/1 0050.56c0.0001) -> %s(%d), 2 packets`,
			d.verdict("permitted", "denied"), d.proto(), d.src, d.sport, d.dst, d.dport)
	}},
	{"cisco-meraki", false, true, func(d told) string {
		return fmt.Sprintf(`1674604848.429996761 MX84 firewall src=%s dst=%s mac=00:00:5E:00:53:01 protocol=%s sport=%d dport=%d pattern: %s all`,
			d.src, d.dst, d.proto(), d.sport, d.dport, d.verdict("0", "1"))
	}},
	{"juniper-srx", true, false, func(d told) string {
		return fmt.Sprintf(`<14>1 2019-11-14T09:37:51.184+01:00 s RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.41 source-address="%s" source-port="%d" destination-address="%s" destination-port="%d" nat-source-address="%s" nat-source-port="%d" nat-destination-address="%s" nat-destination-port="%d" protocol-id="%d" policy-name="p"]`,
			d.src, d.sport, d.dst, d.dport, d.nat, d.natPort, d.dst, d.dport, d.number())
	}},
	{"juniper-srx", true, false, func(d told) string {
		return fmt.Sprintf(`Jun 17 16:49:31 s RT_FLOW: RT_FLOW_SESSION_CREATE: session created %s/%d->%s/%d 0x0 None %s/%d->%s/%d 0x0 source rule r N/A N/A %d p a b 1047299 N/A(N/A) reth2.0`,
			d.src, d.sport, d.dst, d.dport, d.nat, d.natPort, d.dst, d.dport, d.number())
	}},
	{"fortigate", true, true, func(d told) string {
		return fmt.Sprintf(`<189>date=2020-04-23 time=12:11:51 devname="f" devid="F" logid="0000000020" type="traffic" subtype="forward" srcip=%s srcport=%d dstip=%s dstport=%d proto=%d action="%s" policyid=3 transip=%s transport=%d sentbyte=1`,
			d.src, d.sport, d.dst, d.dport, d.number(), d.verdict("accept", "deny"), d.nat, d.natPort)
	}},
	{"paloalto", true, true, func(d told) string {
		return fmt.Sprintf(`1,2018/11/30 16:09:07,0128,TRAFFIC,end,2049,2018/11/30 16:09:07,%s,%s,%s,%s,"a, rule",,,ssl,vsys1,trust,untrust,e1,e2,f,2018/11/30 16:09:07,1,1,%d,%d,%d,%d,0x0,%s,%s,1,1,0,1`,
			d.src, d.dst, d.nat, d.dst, d.sport, d.dport, d.natPort, d.dport, d.proto(), d.verdict("allow", "reset-both"))
	}},
	{"checkpoint", true, true, func(d told) string {
		return fmt.Sprintf(`<134>1 2020-03-29T13:19:22Z g CheckPoint 1930 - [action:"%s"; ifdir:"inbound"; ifname:"eth0"; x:"a\]; dst:\"b\""; dst:"%s"; product:"VPN-1 & FireWall-1"; proto:"%d"; s_port:"%d"; service:"%d"; src:"%s"; xlatesport:"%d"; xlatesrc:"%s"]`,
			d.verdict("Accept", "Reject"), d.dst, d.number(), d.sport, d.dport, d.src, d.natPort, d.nat)
	}},
	{"stormshield", true, true, func(d told) string {
		return fmt.Sprintf(`id=firewall time="2024-03-08 17:29:30" fw="f" tz=+0000 ruleid=7 ipproto=%s src=%s srcport=%d dst=%s dstport=%d modsrc=%s modsrcport=%d action=%s logtype="filter"`,
			d.proto(), d.src, d.sport, d.dst, d.dport, d.nat, d.natPort, d.verdict("pass", "block"))
	}},
	{"watchguard", false, true, func(d told) string {
		return fmt.Sprintf(`<142>May 10 15:19:06 f FVE (2024-01-10T09:49:05) firewall: msg_id="3000-0148" %s 1-A 0-B 52 %s 20 127 %s %s %d %d offset 8 S 1 win 2 (HTTP-00)`,
			d.verdict("Allow", "Deny"), d.proto(), d.src, d.dst, d.sport, d.dport)
	}},
	{"cef", true, true, func(d told) string {
		return fmt.Sprintf(`CEF:0|A\|B|C|1|2|n|3|msg=a \= b src\=1 act=%s src=%s spt=%d dst=%s dpt=%d proto=%s sourceTranslatedAddress=%s sourceTranslatedPort=%d end=x`,
			d.verdict("Permit", "Reject"), d.src, d.sport, d.dst, d.dport, strings.ToUpper(d.proto()), d.nat, d.natPort)
	}},
	{"leef", true, true, func(d told) string {
		return fmt.Sprintf("LEEF:2.0|A|B|1|2|^|action=%s^src=%s^srcPort=%d^dst=%s^dstPort=%d^proto=%s^srcPostNAT=%s^srcPostNATPort=%d^x=y",
			d.verdict("Allow", "Drop"), d.src, d.sport, d.dst, d.dport, d.proto(), d.nat, d.natPort)
	}},
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func drawAddr(t *rapid.T, v6 bool, name string) netip.Addr {
	n := rapid.Uint64().Draw(t, name)
	if v6 {
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		for i := range 8 {
			a[15-i] = byte(n >> (8 * i))
		}
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte{byte(n>>24) | 1, byte(n >> 16), byte(n >> 8), byte(n)})
}

// TestRoundTrip: what is written is read.
func TestRoundTrip(t *testing.T) {
	for i, w := range writers {
		t.Run(fmt.Sprintf("%s-%d", w.format, i), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				v6 := rapid.Bool().Draw(t, "v6")
				port := rapid.Uint16Min(1)
				d := told{
					src: drawAddr(t, v6, "src"), dst: drawAddr(t, v6, "dst"), nat: drawAddr(t, v6, "nat"),
					sport: port.Draw(t, "sport"), dport: port.Draw(t, "dport"), natPort: port.Draw(t, "natport"),
					udp: rapid.Bool().Draw(t, "udp"), deny: rapid.Bool().Draw(t, "deny"),
				}
				var e Event
				l := w.write(d)
				if !New(Options{Now: readAt}).Read([]byte(l), &e) {
					t.Fatalf("declined: %s", l)
				}
				d.check(t, l, &e, w.format, w.nat, w.verdict)
			})
		})
	}
}

func (d told) check(t *rapid.T, l string, e *Event, format string, nat, verdict bool) {
	if e.Format != format || e.Src != d.src || e.Dst != d.dst || !e.HasPorts || e.SrcPort != d.sport ||
		e.DstPort != d.dport || int(e.Proto) != d.number() {
		t.Errorf("%s\nread as %+v", l, *e)
	}
	if nat && d.nat != d.src && (e.NATSrc != d.nat || e.NATSrcPort != d.natPort) {
		t.Errorf("%s\ntranslation read as %s/%d", l, e.NATSrc, e.NATSrcPort)
	}
	if e.NATDst.IsValid() || e.NATDstPort != 0 {
		t.Errorf("%s\ndestination's translation read as %s/%d", l, e.NATDst, e.NATDstPort)
	}
	if verdict && (e.Action == Deny) != d.deny || verdict && e.Action == NoAction {
		t.Errorf("%s\nverdict %q", l, e.Action)
	}
}
