package sockiter

import "testing"

func TestParse(t *testing.T) {
	got, err := parse([]byte("42 4789 10 8 1 vxlan_rcv [vxlan]"))
	want := Socket{Inode: 42, Port: 4789, IPv6: true, UserLocks: 8, Kernel: true, Callback: "vxlan_rcv [vxlan]"}
	if err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("42 4789 10 8 1 vxlan_rcv [vxlan]"))
	f.Add([]byte("1 2 3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parse(b); err == nil && s.BoundByProgram() && s.UserLocks == 0 {
			t.Error("bound without a lock")
		}
	})
}
