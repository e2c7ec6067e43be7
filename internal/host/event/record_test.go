package event

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/exposure"
)

// encode is the naive twin of bpf/listeners.c.
func encode(r record, names []string, args string) []byte {
	b := make([]byte, recordHead)
	put := binary.NativeEndian
	for i, v := range []uint64{r.time, r.cookie, r.address, r.inode, r.started, r.cgroup, r.exeIno} {
		put.PutUint64(b[8*i:], v)
	}
	for i, v := range []uint32{r.exeDev, 0, r.netns, r.mntns, r.pid, r.uid, r.sockUID, r.ifindex} {
		put.PutUint32(b[56+4*i:], v)
	}
	path := ""
	for _, name := range names {
		path += name + "\x00"
	}
	for i, v := range []uint16{r.proto, r.family, r.port, uint16(len(args)), uint16(len(path))} {
		put.PutUint16(b[88+2*i:], v)
	}
	b[98], b[99], b[100] = r.kind, r.flags, r.locks
	copy(b[104:], r.addr.AsSlice())
	copy(b[120:], r.comm)
	return append(append(b, args...), path...)
}

func sample() record {
	return record{time: 1, cookie: 2, address: 3, inode: 4, started: 5, cgroup: 6, exeIno: 13, exeDev: 14, netns: 7, mntns: 8, pid: 9, uid: 10,
		sockUID: 11, ifindex: 12, proto: 6, family: familyIPv6, port: 443, kind: kindOpened, flags: flagV6Only, locks: lockPort,
		addr: netip.MustParseAddr("2001:db8::1"), comm: "nginx"}
}

func TestDecode(t *testing.T) {
	want := sample()
	want.exe, want.args = "/usr/sbin/nginx", "nginx -g daemon off;"
	got, err := decode(encode(want, []string{"nginx", "sbin", "usr"}, "nginx\x00-g\x00daemon off;\x00"))
	if err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	want.family, want.addr, want.exe, want.args = 2, netip.MustParseAddr("192.0.2.1"), "", ""
	if got, err := decode(encode(want, nil, "")); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := encode(sample(), []string{"nginx"}, "nginx")
	for n := range whole {
		if _, err := decode(whole[:n]); !errors.Is(err, errRecord) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
	for _, kind := range []uint8{0, kindConnecting + 1, 255} {
		r := sample()
		r.kind = kind
		if _, err := decode(encode(r, nil, "")); !errors.Is(err, errRecord) {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
}

// The record's values are those of the C source.
func TestValuesOfTheSource(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("bpf", "listeners.c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"kind_opened = 1,", "kind_closed = 2,", "kind_connecting = 3,", "flag_v6only = 1,", "flag_kernel = 2,",
		"flag_deleted = 4,", "flag_connected = 8,", "flag_cut = 16,", "flag_named = 32,"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %q", line)
		}
	}
}

func TestDualStack(t *testing.T) {
	for _, c := range []struct {
		addr   string
		family uint16
		flags  uint8
		want   bool
	}{{"::", familyIPv6, 0, true}, {"::", familyIPv6, flagV6Only, false}, {"::1", familyIPv6, 0, false}, {"0.0.0.0", 2, 0, false}} {
		r := sample()
		r.addr, r.family, r.flags = netip.MustParseAddr(c.addr), c.family, c.flags
		if s := r.socket(); s.DualStack != c.want || s.Scope != exposure.ScopeOf(r.addr) {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(sample(), []string{"nginx", "sbin", "usr"}, "nginx\x00-g\x00daemon off;\x00"))
	f.Add(encode(sample(), []string{"\xff\x1b[2J", ""}, "\xff"))
	f.Add(make([]byte, recordHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		s := r.socket()
		for _, text := range []string{r.comm, r.exe, r.args, string(s.Proto)} {
			if !utf8.ValidString(text) || len(text) > 3*len(b)+1 {
				t.Errorf("%q", text)
			}
		}
		if r.exe != "" && r.exe[0] != '/' {
			t.Errorf("path %q", r.exe)
		}
		if !r.addr.IsValid() || r.key() == 0 && (r.cookie|r.address) != 0 {
			t.Errorf("%+v", r)
		}
	})
}
