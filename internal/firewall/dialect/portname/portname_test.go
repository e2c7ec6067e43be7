package portname

import "testing"

func TestNames(t *testing.T) {
	if _, err := read(data); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proto, name string
		want        uint16
	}{{"tcp", "ssh", 22}, {"udp", "domain", 53}, {"tcp", "WWW", 80}, {"udp", "syslog", 514}, {"tcp", "cmd", 514}} {
		if n, ok := Port(c.proto, c.name); !ok || n != c.want {
			t.Errorf("%s %s: %d %v", c.proto, c.name, n, ok)
		}
	}
	if _, ok := Port("tcp", "syslog"); ok {
		t.Error("syslog is of UDP")
	}
}
