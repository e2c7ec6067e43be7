package host

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"pgregory.net/rapid"
)

// cast is a table of programs.
type cast map[int32]struct {
	described
	run procfs.Image
}

func (c cast) describe(pid int32) (*described, bool) {
	p, ok := c[pid]
	return &p.described, ok
}

func (c cast) image(pid int32) procfs.Image { return c[pid].run }

func process(exe, cmdline, unit, container string, run uint64) struct {
	described
	run procfs.Image
} {
	d := described{Process: exposure.Process{Exe: exe, Cmdline: cmdline}, Unit: unit}
	if container != "" {
		d.Container = &exposure.Container{ID: container}
	}
	image := procfs.Image{}
	if run != 0 {
		image = procfs.Image{StartCode: run, StartStack: run}
	}
	return struct {
		described
		run procfs.Image
	}{d, image}
}

func heldBy(ns *space, port uint16, pids ...int32) *candidate {
	c := &candidate{ns: ns, inode: uint64(port)}
	c.Proto, c.State, c.Port = exposure.TCP, exposure.Listen, port
	c.Addr = exposure.IPAddress(netip.IPv4Unspecified())
	for _, pid := range pids {
		c.holders = append(c.holders, owner.Holder{PID: pid, FD: 3})
	}
	return c
}

// sizes are the numbers of sockets of each row.
func sizes(groups [][]*candidate) []int {
	out := []int{}
	for _, g := range groups {
		out = append(out, len(g))
	}
	return out
}

func TestWhatIsOneService(t *testing.T) {
	programs := cast{
		1:  process("/sbin/init", "init", "init.scope", "", 1),
		10: process("/usr/bin/python3", "python3 a.py", "a.service", "", 10),
		11: process("/usr/bin/python3", "python3 b.py", "b.service", "", 11),
		12: process("/usr/bin/python3", "python3 c.py", "a.service", "", 12), // a second program of one unit
		20: process("/usr/sbin/nginx", "nginx: master process", "session-1.scope", "", 20),
		21: process("/usr/sbin/nginx", "nginx: worker process", "session-1.scope", "", 20),
		22: process("/usr/sbin/other", "other", "session-1.scope", "", 22),
		30: process("/app", "app", "docker.service", "c1", 30),
		31: process("/app", "app", "docker.service", "c2", 31),
		40: process("/app", "app -x", "", "", 0), // the kernel hides its image
		41: process("/app", "app -y", "", "", 0),
	}
	ns, other := &space{}, &space{}
	tests := []struct {
		name    string
		sockets []*candidate
		want    []int
	}{
		{"one process, two sockets", []*candidate{heldBy(ns, 80, 10), heldBy(ns, 80, 10)}, []int{2}},
		{"one unit", []*candidate{heldBy(ns, 80, 10), heldBy(ns, 80, 12)}, []int{2}},
		{"two units", []*candidate{heldBy(ns, 80, 10), heldBy(ns, 80, 11)}, []int{1, 1}},
		{"workers that rename themselves", []*candidate{heldBy(ns, 80, 20), heldBy(ns, 80, 21)}, []int{2}},
		{"one login session is no service", []*candidate{heldBy(ns, 80, 20), heldBy(ns, 80, 22)}, []int{1, 1}},
		{"the same image in two containers", []*candidate{heldBy(ns, 80, 30), heldBy(ns, 80, 31)}, []int{1, 1}},
		{"hidden images tell nothing", []*candidate{heldBy(ns, 80, 40), heldBy(ns, 80, 41)}, []int{1, 1}},
		{"joined by a third", []*candidate{heldBy(ns, 80, 10), heldBy(ns, 80, 11), heldBy(ns, 80, 10, 11)}, []int{3}},
		{"nobody is known", []*candidate{heldBy(ns, 80), heldBy(ns, 80), heldBy(ns, 80, 10)}, []int{2, 1}},
		{"ended processes", []*candidate{heldBy(ns, 80, 98), heldBy(ns, 80, 99)}, []int{1, 1}},
		{"two ports", []*candidate{heldBy(ns, 80, 10), heldBy(ns, 81, 10)}, []int{1, 1}},
		{"two namespaces", []*candidate{heldBy(ns, 80, 10), heldBy(other, 80, 10)}, []int{1, 1}},
	}
	for _, test := range tests {
		if d := cmp.Diff(test.want, sizes(group(test.sockets, programs))); d != "" {
			t.Errorf("%s: %s", test.name, d)
		}
	}
	kernel := []*candidate{heldBy(ns, 80), heldBy(ns, 80)}
	kernel[0].Kernel = &exposure.KernelUser{User: "nfsd"}
	if got := sizes(group(kernel, programs)); len(got) != 2 {
		t.Errorf("the kernel's and a hidden process's socket are one row: %v", got)
	}
}

// However sockets are mixed: none is lost or doubled, sockets that share a
// process are together, and the order of listing does not matter.
func TestGroupingProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		programs := cast{}
		for pid := int32(2); pid < 10; pid++ {
			programs[pid] = process(fmt.Sprint("/bin/", rapid.IntRange(0, 2).Draw(t, "exe")), fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "cmdline")),
				rapid.SampledFrom([]string{"", "a.service", "x.scope"}).Draw(t, "unit"), "", rapid.Uint64Range(0, 3).Draw(t, "run"))
		}
		ns := &space{}
		var sockets []*candidate
		for range rapid.IntRange(1, 12).Draw(t, "sockets") {
			pids := rapid.SliceOfNDistinct(rapid.Int32Range(2, 10), 0, 3, rapid.ID[int32]).Draw(t, "pids")
			sockets = append(sockets, heldBy(ns, rapid.SampledFrom([]uint16{80, 81}).Draw(t, "port"), pids...))
		}
		rowOf, n := rows(t, group(sockets, programs))
		if n != len(sockets) {
			t.Fatalf("%d sockets in rows, want %d", n, len(sockets))
		}
		shuffled := rapid.Permutation(sockets).Draw(t, "order")
		again, _ := rows(t, group(shuffled, programs))
		for _, a := range sockets {
			for _, b := range sockets {
				if (rowOf[a] == rowOf[b]) != (again[a] == again[b]) {
					t.Fatal("rows depend on the order")
				}
				if a.Port == b.Port && sharesProcess(a, b) && rowOf[a] != rowOf[b] {
					t.Fatal("one process in two rows")
				}
				if a.Port != b.Port && rowOf[a] == rowOf[b] {
					t.Fatal("two ports in one row")
				}
			}
		}
	})
}

func rows(t *rapid.T, groups [][]*candidate) (map[*candidate]int, int) {
	of, n := map[*candidate]int{}, 0
	for i, g := range groups {
		for _, c := range g {
			if _, ok := of[c]; ok {
				t.Fatal("a socket in two rows")
			}
			of[c] = i
			n++
		}
	}
	return of, n
}

func sharesProcess(a, b *candidate) bool {
	for _, x := range a.holders {
		for _, y := range b.holders {
			if x.PID == y.PID {
				return true
			}
		}
	}
	return false
}
