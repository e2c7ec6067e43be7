package rtnl

import (
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"github.com/portreeve/portreeve/internal/nettest"
)

func in(t *testing.T, ns *nettest.NS, fn func(c *Conn)) {
	t.Helper()
	ns.Do(func() {
		c, err := Dial()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fn(c)
	})
}

// Links and addresses are those that ip(8) shows.
func TestAgreesWithIP(t *testing.T) {
	nettest.Need(t, "ip")
	a, b := nettest.New(t), nettest.New(t)
	nettest.Veth(t, a, b, "eth7=10.1.2.3/24", "10.1.2.4/24")
	a.Run("ip", "addr", "add", "fd00::5/64", "dev", "eth7", "nodad")
	a.Run("ip", "addr", "add", "192.0.2.1", "peer", "192.0.2.9", "dev", "lo")
	var shown []struct {
		Index uint32 `json:"ifindex"`
		Name  string `json:"ifname"`
		Addrs []struct {
			Local  netip.Addr `json:"local"`
			Prefix uint8      `json:"prefixlen"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(a.Run("ip", "-j", "addr")), &shown); err != nil {
		t.Fatal(err)
	}
	wantLinks, wantAddrs := map[uint32]string{}, map[netip.Addr]uint32{}
	for _, l := range shown {
		wantLinks[l.Index] = l.Name
		for _, addr := range l.Addrs {
			wantAddrs[addr.Local] = l.Index
		}
	}
	gotLinks, gotAddrs := map[uint32]string{}, map[netip.Addr]uint32{}
	in(t, a, func(c *Conn) {
		links, err := c.Links()
		if err != nil {
			t.Error(err)
		}
		for _, l := range links {
			gotLinks[l.Index] = l.Name
			if l.Name == "eth7" && (l.Kind != "veth" || l.Flags&1 == 0) {
				t.Errorf("eth7 is %+v", l)
			}
		}
		addrs, err := c.Addresses()
		if err != nil {
			t.Error(err)
		}
		for _, addr := range addrs {
			gotAddrs[addr.Addr] = addr.Index
		}
	})
	if diff := cmp.Diff(wantLinks, gotLinks); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantAddrs, gotAddrs, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// A tunnel tells its port, and where it was made when it has been moved.
func TestTunnelPorts(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	a.Run("ip", "link", "add", "vx1", "type", "vxlan", "id", "7", "dstport", "4790")
	a.Run("ip", "link", "add", "vx2", "type", "vxlan", "id", "8", "dstport", "4791")
	a.Run("ip", "link", "set", "vx2", "netns", b.Name)
	find := func(c *Conn, name string) Link {
		links, err := c.Links()
		if err != nil {
			t.Error(err)
		}
		for _, l := range links {
			if l.Name == name {
				return l
			}
		}
		t.Errorf("no link %s", name)
		return Link{}
	}
	in(t, a, func(c *Conn) {
		if l := find(c, "vx1"); l.Kind != "vxlan" || len(l.Ports) != 1 || l.Ports[0] != 4790 || l.LinkNSID != NoNSID {
			t.Errorf("vx1 is %+v", l)
		}
	})
	in(t, b, func(c *Conn) {
		l := find(c, "vx2")
		f, err := os.Open(a.Path())
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		id, err := c.NSID(int(f.Fd()))
		if err != nil || id == NoNSID || l.LinkNSID != id || l.Ports[0] != 4791 {
			t.Errorf("vx2 is %+v; its home has the number %d (%v)", l, id, err)
		}
	})
}

// WireGuard's answer, as linux/wireguard.h lays it out.
func TestWireGuardAnswer(t *testing.T) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(wgAttrIfindex, 3)
	ae.Uint16(wgAttrListenPort, 51820)
	attrs, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := genericPorts([]netlink.Message{{Data: append([]byte{0, 1, 0, 0}, attrs...)}}, wgPort)
	if err != nil || len(ports) != 1 || ports[0] != 51820 {
		t.Error(ports, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeLink(b)
		_, _, _ = decodeAddress(b)
		_, _ = decodeNSID(b)
		_, _, _ = decodeFamily(b)
		_, _ = genericPorts([]netlink.Message{{Data: b}}, wgPort)
	})
}

// seeds are a vxlan link and an address, built as the kernel does.
func seeds() [][]byte {
	link := netlink.NewAttributeEncoder()
	link.String(3, "vx1")
	link.Nested(18, func(info *netlink.AttributeEncoder) error {
		info.String(1, "vxlan")
		info.Nested(2, func(data *netlink.AttributeEncoder) error { data.Bytes(15, []byte{0x12, 0xb6}); return nil })
		return nil
	})
	addr := netlink.NewAttributeEncoder()
	addr.Bytes(1, []byte{10, 0, 0, 1})
	addr.Bytes(2, []byte{10, 0, 0, 2})
	l, _ := link.Encode()
	a, _ := addr.Encode()
	return [][]byte{append(make([]byte, 16), l...), append(make([]byte, 8), a...), {1, 2, 3}}
}
