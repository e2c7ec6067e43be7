package values

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func TestAddresses(t *testing.T) {
	for text, inside := range map[string]string{
		"192.0.2.7": "192.0.2.7", "192.0.2.0/24": "192.0.2.255", "192.0.2.9/255.255.255.0": "192.0.2.1", "192.0.2.3 - 192.0.2.9": "192.0.2.5",
		"2001:db8::/32": "2001:db8:1::", "::/0": "::1", "0.0.0.0/0": "255.255.255.255", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1-2001:db8::9": "2001:db8::5",
	} {
		s, err := Addresses(text)
		if err != nil || !s.Has(ruleset.Address(netip.MustParseAddr(inside))) {
			t.Errorf("%s: %v %v", text, s, err)
		}
	}
	all6, err := Addresses("::/0")
	if err != nil || all6.Meets(IPv4()) || !ruleset.Union(all6, IPv4()).Equal(ruleset.SAddr.Full()) {
		t.Error("::/0 is all of IPv6 and no IPv4")
	}
	for _, text := range []string{"", "x", "192.0.2.0/33", "192.0.2.0/255.0.255.0", "2001:db8::/255.0.0.0", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::", "fe80::1%eth0", "fe80::%a/64", "1.2.3.4/", "-", "1.2.3.4/-1"} {
		if s, err := Addresses(text); err == nil {
			t.Errorf("%q: %v", text, s)
		}
	}
}

func TestPorts(t *testing.T) {
	for text, want := range map[string]ruleset.Set{"22": ruleset.Numbers(22), " 1 - 3 ": ruleset.Range(ruleset.Number(1), ruleset.Number(3)), "0-65535": ruleset.DPort.Full()} {
		if s, err := Ports(text); err != nil || !s.Equal(want) {
			t.Errorf("%q: %v %v", text, s, err)
		}
	}
	for _, text := range []string{"", "x", "65536", "3-1", "-1", "1-", "1-2-3"} {
		if s, err := Ports(text); err == nil {
			t.Errorf("%q: %v", text, s)
		}
	}
}

func TestProtocol(t *testing.T) {
	for text, want := range map[string]int{"TCP": 6, "icmpv4": 1, "ICMPv6": 58, "17": 17, "0": 0, "255": 255} {
		if n, ok := Protocol(text); !ok || n != want {
			t.Errorf("%s: %d %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "256", "-1", "any"} {
		if n, ok := Protocol(text); ok {
			t.Errorf("%q: %d", text, n)
		}
	}
}

// Prefixes cover the set and nothing else, none twice.
func TestPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set ruleset.Set
		for range rapid.IntRange(0, 4).Draw(t, "intervals") {
			lo := rapid.Uint32().Draw(t, "lo")
			hi := lo + min(rapid.Uint32Range(0, 5000).Draw(t, "length"), ^uint32(0)-lo)
			set = ruleset.Union(set, span(lo, hi, rapid.Bool().Draw(t, "IPv6")))
		}
		var back ruleset.Set
		for _, p := range Prefixes(set) {
			if s := Prefix(p); s.Meets(back) {
				t.Fatalf("%v twice", p)
			} else {
				back = ruleset.Union(back, s)
			}
		}
		if !back.Equal(set) {
			t.Fatalf("%v, want %v", back, set)
		}
	})
	for text, want := range map[string]int{"0.0.0.0/0": 1, "::/0": 1, "2001:db8::/32": 1, "192.0.2.1-192.0.2.6": 4} {
		s, _ := Addresses(text)
		if got := Prefixes(s); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got := Prefixes(ruleset.SAddr.Full()); len(got) != 2 {
		t.Errorf("everything: %v", got)
	}
}

func span(lo, hi uint32, six bool) ruleset.Set {
	make4 := func(n uint32) netip.Addr {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], n)
		if !six {
			return netip.AddrFrom4(b)
		}
		out := [16]byte{0: 0x20, 1: 0x01}
		copy(out[12:], b[:])
		return netip.AddrFrom16(out)
	}
	return ruleset.Range(ruleset.Address(make4(lo)), ruleset.Address(make4(hi)))
}
