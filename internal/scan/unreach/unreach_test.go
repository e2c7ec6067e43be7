package unreach

import "testing"

func TestReason(t *testing.T) {
	for _, c := range []struct {
		v6         bool
		kind, code byte
		want       string
	}{
		{false, 3, 0, "net-unreach"}, {false, 3, 1, "host-unreach"}, {false, 3, 2, "proto-unreach"}, {false, 3, 3, PortUnreach},
		{false, 3, 4, ""}, {false, 3, 9, "net-prohibited"}, {false, 3, 10, "host-prohibited"}, {false, 3, 13, "admin-prohibited"},
		{false, 3, 16, ""}, {false, 3, 255, ""}, {false, 11, 0, ""},
		{true, 1, 0, "no-route"}, {true, 1, 1, "admin-prohibited"}, {true, 1, 2, "beyond-scope"}, {true, 1, 5, "admin-prohibited"}, {true, 1, 6, "reject-route"}, {true, 1, 3, "host-unreach"}, {true, 1, 4, PortUnreach},
		{true, 1, 7, ""}, {true, 3, 3, ""},
	} {
		if got, ok := Reason(c.v6, c.kind, c.code); got != c.want || ok != (c.want != "") {
			t.Errorf("v6 %v type %d code %d: %q, %v; want %q", c.v6, c.kind, c.code, got, ok, c.want)
		}
	}
}
