package drift

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
	"pgregory.net/rapid"
)

// genSnapshot draws hosts on which programs share few endpoints, so that they
// meet. A process holds one row of an endpoint at most, as in the host view.
func genSnapshot(t *rapid.T, label string) *Snapshot {
	n := rapid.IntRange(0, 12).Draw(t, label)
	taken := map[string]bool{}
	var socks []exposure.Socket
	for range n {
		addr := rapid.SampledFrom([]string{"0.0.0.0", "127.0.0.1", "::"}).Draw(t, "addr")
		port := rapid.Uint16Range(80, 81).Draw(t, "port")
		exe := rapid.SampledFrom([]string{nginx, sshd, "/usr/bin/redis"}).Draw(t, "exe")
		pid := rapid.IntRange(2, 5).Draw(t, "pid")
		// Two rows of one endpoint have programs and processes of their own.
		at := fmt.Sprint(addr, port)
		if taken[at+exe] || taken[at+fmt.Sprint(pid)] {
			continue
		}
		taken[at+exe], taken[at+fmt.Sprint(pid)] = true, true
		socks = append(socks, sock(addr, port, by(exe, pid), func(s *exposure.Socket) { s.DualStack = addr == "::" && rapid.Bool().Draw(t, "dual") }))
	}
	return snap(rapid.Permutation(socks).Draw(t, "order")...)
}

func TestSameIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genSnapshot(t, "a")
		b := snap(rapid.Permutation(a.Sockets).Draw(t, "other order")...)
		if got := Compare(a, b); len(got.Changes)+len(got.Gaps) > 0 {
			t.Fatalf("%v %v", words(got), got.Gaps)
		}
	})
}

func TestSwappedIsMirrored(t *testing.T) {
	mirror := map[Kind]Kind{Opened: Closed, Closed: Opened, Replaced: Replaced, OwnerChanged: OwnerChanged, ScopeChanged: ScopeChanged}
	text := func(k Kind, was, now *exposure.Socket) string {
		of := func(s *exposure.Socket) string {
			if s == nil {
				return "-"
			}
			return fmt.Sprint(s.Endpoint(), s.DualStack, s.Processes[0].Exe, s.Processes[0].PID)
		}
		return fmt.Sprint(k, " ", of(was), " ", of(now))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := genSnapshot(t, "a"), genSnapshot(t, "b")
		there, back := []string{}, []string{}
		for _, c := range Compare(a, b).Changes {
			there = append(there, text(c.Kind, c.Before, c.After))
		}
		for _, c := range Compare(b, a).Changes {
			back = append(back, text(mirror[c.Kind], c.After, c.Before))
		}
		slices.Sort(there)
		slices.Sort(back)
		if d := gocmp.Diff(there, back); d != "" {
			t.Fatal(d)
		}
	})
}

// TestChangesLeadFromOneToTheOther: what was, without what the changes end and
// with what they begin, is what is.
func TestChangesLeadFromOneToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genSnapshot(t, "a"), genSnapshot(t, "b")
		n := map[string]int{}
		key := func(s *exposure.Socket) string { return fmt.Sprint(s.Endpoint(), s.DualStack, s.Processes[0].Exe) }
		for i := range a.Sockets {
			n[key(&a.Sockets[i])]++
		}
		for _, c := range Compare(a, b).Changes {
			if (c.Before == nil) != (c.Kind == Opened) || (c.After == nil) != (c.Kind == Closed) {
				t.Fatalf("%s with %v and %v", c.Kind, c.Before, c.After)
			}
			if c.Before != nil {
				n[key(c.Before)]--
			}
			if c.After != nil {
				n[key(c.After)]++
			}
		}
		for i := range b.Sockets {
			n[key(&b.Sockets[i])]--
		}
		for k, v := range n {
			if v != 0 {
				t.Fatalf("%s: %d too many", k, v)
			}
		}
	})
}

// twin compares the plain way: every pair is looked at, the surest first.
func twin(a, b *Snapshot) []string {
	old, now := slices.Clone(a.Sockets), slices.Clone(b.Sockets)
	order := func(x, y exposure.Socket) int {
		return cmp.Or(cmp.Compare(x.Addr.String(), y.Addr.String()), cmp.Compare(x.Port, y.Port), cmp.Compare(x.Processes[0].Exe, y.Processes[0].Exe), cmp.Compare(x.Processes[0].PID, y.Processes[0].PID))
	}
	slices.SortFunc(old, order)
	slices.SortFunc(now, order)
	out := []string{}
	pass := func(fits func(x, y *exposure.Socket) bool, kind Kind) {
		for j := 0; j < len(now); j++ {
			i := slices.IndexFunc(old, func(x exposure.Socket) bool { return fits(&x, &now[j]) })
			if i < 0 {
				continue
			}
			k := kind
			if kind != OwnerChanged && old[i].DualStack != now[j].DualStack {
				k = ScopeChanged
			}
			if k != "" {
				out = append(out, string(k)+" "+now[j].Endpoint().String())
			}
			old, now = slices.Delete(old, i, i+1), slices.Delete(now, j, j+1)
			j--
		}
	}
	place := func(x, y *exposure.Socket) bool { return x.Endpoint() == y.Endpoint() }
	exe := func(x, y *exposure.Socket) bool { return x.Processes[0].Exe == y.Processes[0].Exe }
	pid := func(x, y *exposure.Socket) bool { return x.Processes[0].PID == y.Processes[0].PID }
	pass(func(x, y *exposure.Socket) bool { return place(x, y) && pid(x, y) && exe(x, y) }, "")
	pass(func(x, y *exposure.Socket) bool { return place(x, y) && exe(x, y) }, Replaced)
	pass(place, OwnerChanged)
	pass(func(x, y *exposure.Socket) bool { return x.Port == y.Port && exe(x, y) }, ScopeChanged)
	for i := range old {
		out = append(out, "closed "+old[i].Endpoint().String())
	}
	for i := range now {
		out = append(out, "opened "+now[i].Endpoint().String())
	}
	slices.Sort(out)
	return out
}

func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genSnapshot(t, "a"), genSnapshot(t, "b")
		got := words(Compare(a, b))
		slices.Sort(got)
		if d := gocmp.Diff(twin(a, b), got); d != "" {
			t.Fatal(d)
		}
	})
}

// TestUnequalInventsNothing: the same host seen with less changes nothing.
func TestUnequalInventsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genSnapshot(t, "a")
		b := snap(slices.Clone(a.Sockets)...).with(unprivileged)
		for i := range b.Sockets {
			if rapid.Bool().Draw(t, "hidden") {
				b.Sockets[i].Processes, b.Sockets[i].OwnerUnknown = nil, "needs root"
			}
		}
		b.Taken = noon.Add(time.Hour)
		for _, pair := range [][2]*Snapshot{{a, b}, {b, a}} {
			if got := Compare(pair[0], pair[1]); len(got.Changes) > 0 {
				t.Fatalf("%v", words(got))
			}
		}
	})
}
