package exposure

import (
	"encoding/json"
	"net/netip"
	"testing"
)

func TestScopeOf(t *testing.T) {
	for addr, want := range map[string]Scope{
		"127.0.0.53": ScopeLoopback, "::1": ScopeLoopback, "::ffff:127.0.0.1": ScopeLoopback, "ff01::1": ScopeLoopback,
		"169.254.1.1": ScopeLink, "fe80::1%eth0": ScopeLink, "224.0.0.251": ScopeLink, "255.255.255.255": ScopeLink, "ff02::fb": ScopeLink,
		"10.1.2.3": ScopePrivate, "172.31.0.1": ScopePrivate, "192.168.0.1": ScopePrivate, "100.64.0.1": ScopePrivate,
		"fd00::1": ScopePrivate, "239.255.255.250": ScopePrivate, "ff05::2": ScopePrivate, "::ffff:10.0.0.1": ScopePrivate,
		"192.0.2.1": ScopePublic, "100.128.0.1": ScopePublic, "2001:db8::1": ScopePublic, "ff0e::1": ScopePublic,
		"0.0.0.0": ScopeAny, "::": ScopeAny, "::ffff:0.0.0.0": ScopeAny,
	} {
		if got := ScopeOf(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := ScopeOf(netip.Addr{}); got != "" {
		t.Errorf("an unknown address has scope %q", got)
	}
}

func TestEndpointText(t *testing.T) {
	for want, addr := range map[string]string{"tcp/0.0.0.0:22": "0.0.0.0", "tcp/[::1]:22": "::1", "tcp/[fe80::1%eth0]:22": "fe80::1%eth0",
		"tcp/[::ffff:10.0.0.1]:22": "::ffff:10.0.0.1", "tcp/localhost.domain:22": "localhost.domain", "tcp/*:22": "*"} {
		if got := (Endpoint{Proto: TCP, Addr: ParseAddress(addr), Port: 22}).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Fields named in uncertain are left out, never guessed; lists are never null.
func TestSocketJSONLeavesOutWhatIsUncertain(t *testing.T) {
	b, err := json.Marshal(Socket{Proto: TCP, State: Listen, Addr: ParseAddress("10.0.0.1"), Port: 80, PeerAddr: ParseAddress("*"), Uncertain: []string{"addr", "peer_port"}})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"addr", "peer_port"} {
		if _, there := got[absent]; there {
			t.Errorf("%s is uncertain and stands in %s", absent, b)
		}
	}
	if got["port"] != 80.0 || got["peer_addr"] != "*" {
		t.Errorf("known fields: %s", b)
	}
	for _, list := range []string{"processes", "inodes", "uncertain"} {
		if _, isList := got[list].([]any); !isList {
			t.Errorf("%s is no list in %s", list, b)
		}
	}
}
