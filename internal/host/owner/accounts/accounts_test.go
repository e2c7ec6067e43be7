package accounts

import (
	"slices"
	"testing"
	"unicode/utf8"
)

const passwd = `root:x:0:0:root:/root:/bin/bash
# comment:x:1:1::/:
+nis::::::
toor:x:0:0::/root:/bin/sh
ann:x:1000:1000:Ann:/home/ann:/bin/bash
short:x:5
big:x:99999999999:5::/:
bob:x:1001:50::/home/bob:/bin/sh
`

const group = `root:x:0:
ann:x:1000:
staff:x:50:ann,bob
empty:x:51:
far:x:52:someone-of-ldap
bad:x
`

func TestUsers(t *testing.T) {
	u := ParseUsers(passwd)
	for uid, want := range map[uint32]string{0: "root", 1000: "ann", 1001: "bob", 1: "1", 5: "5", 4294967295: "4294967295"} {
		if got := u.Name(uid); got != want {
			t.Errorf("%d: %q, want %q", uid, got, want)
		}
	}
	if ann, ok := u.ByID(1000); !ok || ann.Home != "/home/ann" {
		t.Errorf("%+v", ann)
	}
}

func TestGroups(t *testing.T) {
	u, g := ParseUsers(passwd), ParseGroups(group)
	for gid, want := range map[uint32][]uint32{1000: {1000}, 50: {1000, 1001, 1001}, 51: nil} {
		got, known := g.Members(gid, u)
		slices.Sort(got)
		if !known || !slices.Equal(got, want) {
			t.Errorf("%d: %v %v, want %v", gid, got, known, want)
		}
	}
	for _, gid := range []uint32{52, 77} { // a member of a directory service; no such group
		if got, known := g.Members(gid, u); known {
			t.Errorf("%d: %v", gid, got)
		}
	}
	if g.Name(50) != "staff" || g.Name(77) != "77" {
		t.Errorf("%q %q", g.Name(50), g.Name(77))
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add(passwd, group)
	f.Add(":::::::\n\xff:x:1:1::/:\n", "\xff:x:1:a,,b\n:")
	f.Fuzz(func(t *testing.T, passwd, group string) {
		u, g := ParseUsers(passwd), ParseGroups(group)
		for id := range uint32(3) {
			if !utf8.ValidString(u.Name(id)) || !utf8.ValidString(g.Name(id)) {
				t.Errorf("%q %q", u.Name(id), g.Name(id))
			}
			g.Members(id, u)
		}
	})
}
