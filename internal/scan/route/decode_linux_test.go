package route

import (
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func encoded(fill func(*netlink.AttributeEncoder)) []byte {
	ae := netlink.NewAttributeEncoder()
	fill(ae)
	b, _ := ae.Encode()
	return b
}

// A route by an IPv6 gateway for IPv4 (RTA_VIA), encapsulated, with an MTU.
func TestDecodesViaAndEncap(t *testing.T) {
	gw := netip.MustParseAddr("fe80::9")
	attrs := encoded(func(ae *netlink.AttributeEncoder) {
		ae.Uint32(unix.RTA_OIF, 7)
		ae.Bytes(unix.RTA_VIA, append([]byte{unix.AF_INET6, 0}, gw.AsSlice()...))
		ae.Bytes(unix.RTA_ENCAP, []byte{1})
		ae.Nested(unix.RTA_METRICS, func(m *netlink.AttributeEncoder) error { m.Uint32(unix.RTAX_MTU, 1280); return nil })
	})
	a, err := decodeRoute(append(make([]byte, unix.SizeofRtMsg), attrs...))
	if err != nil || a.oif != 7 || a.gateway != gw || !a.encapsule || a.mtu != 1280 {
		t.Errorf("%+v, %v", a, err)
	}
}

// Whatever comes by netlink, the decoders end and keep within the bytes.
func FuzzNetlink(f *testing.F) {
	route := encoded(func(ae *netlink.AttributeEncoder) { ae.Bytes(unix.RTA_DST, []byte{10, 0, 0, 0}) })
	hw := encoded(func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.NDA_DST, []byte{10, 0, 0, 1})
		ae.Bytes(unix.NDA_LLADDR, testHW)
	})
	f.Add(append([]byte{unix.AF_INET, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, route...))
	f.Add(append(make([]byte, unix.SizeofNdMsg), hw...))
	f.Add(append([]byte{32, 0, 0, 0, 3, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeLink(b)
		_, _ = decodeRoute(b)
		_, _ = decodeNeighbour(b)
		if p, ok, err := decodePrefix(b, unix.SizeofRtMsg, unix.RTA_DST, 24); ok && err == nil {
			var c cuts
			c.add(p)
			c.sealed().cell(p.Addr())
		}
		left := len(b)
		_ = walk(b, func(m message) error {
			left -= len(m.body) + unix.NLMSG_HDRLEN
			if left < 0 {
				t.Error("messages longer than the datagram")
			}
			_ = m.errno()
			return nil
		})
	})
}
