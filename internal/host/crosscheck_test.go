package host

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
)

func took(source string, also []uint64, ids ...socketID) reading {
	r := newReading(source)
	for _, id := range ids {
		r.add(id.proto, id.addr, id.port, id.inode, true)
	}
	for _, inode := range also {
		r.inodes[inode] = true
	}
	return r
}

// Only a socket that a source lists both before and after another, which does
// not, is a contradiction.
func TestContradictions(t *testing.T) {
	a := socketID{exposure.TCP, netip.MustParseAddr("127.0.0.1"), 80, 1}
	b := socketID{exposure.UDP, netip.IPv6Unspecified(), 53, 2}
	nameless := socketID{exposure.TCP, netip.Addr{}, 80, 1}
	kernel := socketID{exposure.UDP, netip.IPv4Unspecified(), 4789, 0}
	tests := []struct {
		name     string
		readings []reading
		want     map[doubt]bool
	}{
		{"all agree", []reading{took("p", nil, a, b), took("d", nil, a, b), took("p", nil, a, b), took("d", nil, a, b)}, nil},
		{"opened meanwhile", []reading{took("p", nil), took("d", nil, a), took("p", nil, a), took("d", nil, a)}, nil},
		{"closed meanwhile", []reading{took("p", nil, a), took("d", nil), took("p", nil), took("d", nil)}, nil},
		{"flickers", []reading{took("p", nil, a), took("d", nil), took("p", nil, socketID{a.proto, a.addr, a.port, 9}), took("d", nil)}, nil},
		{"hidden from d", []reading{took("p", nil, a, b), took("d", nil, b), took("p", nil, a, b), took("d", nil, b)}, map[doubt]bool{{a, "p", "d"}: true}},
		{"hidden from p", []reading{took("p", nil), took("d", nil, b), took("p", nil), took("d", nil, b)}, map[doubt]bool{{b, "d", "p"}: true}},
		{"another source names no address", []reading{took("d", nil, a), took("bpf", nil, nameless), took("d", nil, a), took("bpf", nil, nameless)}, nil},
		{"in a state that only one lists", []reading{took("bpf", nil, nameless), took("d", []uint64{1}), took("bpf", nil, nameless)}, nil},
		{"no inode to go by", []reading{took("p", nil, kernel), took("d", nil), took("p", nil, kernel)}, nil},
	}
	for _, test := range tests {
		got := contradictions(test.readings)
		if test.want == nil {
			test.want = map[doubt]bool{}
		}
		if d := cmp.Diff(test.want, got, cmp.AllowUnexported(doubt{}, socketID{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", test.name, d)
		}
	}
}

func TestDisagreements(t *testing.T) {
	a := socketID{exposure.TCP, netip.MustParseAddr("127.0.0.1"), 80, 1}
	nameless := socketID{exposure.TCP, netip.Addr{}, 80, 1}
	alone := socketID{exposure.UDP, netip.Addr{}, 99, 7}
	got := disagreements(map[doubt]bool{{a, SourceDiag, SourceProc}: true, {nameless, SourceBPF, SourceProc}: true, {alone, SourceBPF, SourceDiag}: true})
	if len(got) != 2 || got[0].Endpoint.String() != "tcp/127.0.0.1:80" || got[1].Endpoint.String() != "udp/*:99" {
		t.Fatalf("%+v", got)
	}
	if d := cmp.Diff(map[string]bool{SourceDiag: true, SourceBPF: true, SourceProc: false}, got[0].Says); d != "" {
		t.Error(d)
	}
	if d := (bindDoubt{exposure.TCP, 81, false, true}).disagreement(SourceDiag); d.Endpoint.String() != "tcp/[::]:81" || !d.Says[SourceBind] || d.Says[SourceDiag] {
		t.Errorf("%+v", d)
	}
}
