package host

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/procfs"
)

// endpointKey is what two sockets must share to be one row.
type endpointKey struct {
	ns     *space
	proto  exposure.Proto
	state  exposure.State
	addr   netip.Addr
	port   uint16
	peer   netip.Addr
	pport  uint16
	device string
	dual   bool
	mptcp  bool
	filter string
}

func keyOf(c *candidate) endpointKey {
	return endpointKey{c.ns, c.Proto, c.State, c.Addr.IP, c.Port, c.PeerAddr.IP, c.PeerPort,
		c.Device, c.DualStack, c.MPTCP, c.Filter}
}

// program is what tells one program's process from another's.
type program interface {
	// describe gives a process's program; false when it ended.
	describe(pid int32) (*described, bool)
	// image is the run of the program (see procfs.Image); zero if not known.
	image(pid int32) procfs.Image
}

// group joins the sockets of one service (see sameService) and gives each
// group as indexes, in the order of their first member.
func group(sockets []*candidate, p program) [][]*candidate {
	byKey := map[endpointKey][]*candidate{}
	var order []endpointKey
	for _, c := range sockets {
		k := keyOf(c)
		if byKey[k] == nil {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], c)
	}
	var out [][]*candidate
	for _, k := range order {
		out = append(out, sameService(byKey[k], p)...)
	}
	return out
}

// sameService splits the sockets of one endpoint into services. Two sockets
// are one service when a process holds both, when one systemd service or one
// container's program holds both, when their programs have the same
// executable and command line, or when one was forked from the other without
// a new exec (workers that rename themselves). Sockets that nobody is known to
// hold are one service: their kernel user is the same, or unknown.
func sameService(sockets []*candidate, p program) [][]*candidate {
	if len(sockets) == 1 {
		return [][]*candidate{sockets}
	}
	sets := newSets(len(sockets))
	seen := map[any]int{}
	for i, c := range sockets {
		for _, mark := range marks(c, p) {
			if j, ok := seen[mark]; ok {
				sets.join(i, j)
			} else {
				seen[mark] = i
			}
		}
	}
	return sets.split(sockets)
}

type (
	pidMark     int32
	unitMark    string
	commandMark struct{ container, exe, cmdline string }
	imageMark   struct {
		exe   string
		image procfs.Image
	}
	kernelMark string
)

// marks are the reasons for which a socket may be one service with another.
func marks(c *candidate, p program) []any {
	if len(c.holders) == 0 {
		if c.Kernel != nil {
			return []any{kernelMark(c.Kernel.User + " " + c.Kernel.Detail)}
		}
		return []any{kernelMark("")}
	}
	var out []any
	last := int32(-1)
	for _, h := range c.holders {
		if h.PID == last {
			continue
		}
		last = h.PID
		out = append(out, pidMark(h.PID))
		out = append(out, programMarks(h.PID, p)...)
	}
	return out
}

func programMarks(pid int32, p program) []any {
	d, ok := p.describe(pid)
	if !ok || pid == 1 {
		return nil
	}
	var out []any
	container := ""
	if d.Container != nil {
		container = d.Container.ID
	}
	if strings.HasSuffix(d.Unit, ".service") && container == "" {
		out = append(out, unitMark(d.Unit))
	}
	if d.Process.Exe != "" {
		out = append(out, commandMark{container, d.Process.Exe, d.Process.Cmdline})
		if image := p.image(pid); image != (procfs.Image{}) {
			out = append(out, imageMark{d.Process.Exe, image})
		}
	}
	return out
}

// sets is a union-find forest.
type sets struct{ parent []int }

func newSets(n int) *sets {
	s := &sets{make([]int, n)}
	for i := range s.parent {
		s.parent[i] = i
	}
	return s
}

func (s *sets) root(i int) int {
	for s.parent[i] != i {
		s.parent[i] = s.parent[s.parent[i]]
		i = s.parent[i]
	}
	return i
}

func (s *sets) join(i, j int) {
	a, b := s.root(i), s.root(j)
	s.parent[max(a, b)] = min(a, b)
}

func (s *sets) split(sockets []*candidate) [][]*candidate {
	var out [][]*candidate
	at := map[int]int{}
	for i, c := range sockets {
		r := s.root(i)
		if _, ok := at[r]; !ok {
			at[r] = len(out)
			out = append(out, nil)
		}
		out[at[r]] = append(out[at[r]], c)
	}
	return out
}

// mergeSubflows drops the TCP sockets through which an MPTCP socket works: the
// kernel lists both, a person opened one. A TCP socket of the same endpoint is
// its part when the kernel says so, when it shares the MPTCP socket's inode (a
// listening subflow does), or when nobody holds it.
func mergeSubflows(sockets []*candidate) {
	type place struct {
		ns     *space
		addr   netip.Addr
		port   uint16
		peer   netip.Addr
		pport  uint16
		device string
	}
	at := func(c *candidate) place {
		return place{c.ns, c.Addr.IP, c.Port, c.PeerAddr.IP, c.PeerPort, c.Device}
	}
	whole, inodes := map[place]bool{}, map[uint64]bool{}
	for _, c := range sockets {
		if c.MPTCP {
			whole[at(c)], inodes[c.inode] = true, true
		}
	}
	for _, c := range sockets {
		if c.Proto == exposure.TCP && !c.MPTCP && whole[at(c)] {
			c.drop = c.subflow || len(c.holders) == 0 || inodes[c.inode]
		}
	}
}

// sortSockets orders rows: own namespace first, then by name and inode; then
// protocol, port, address, state, device and first process.
func sortSockets(rows []exposure.Socket, self string) {
	slices.SortStableFunc(rows, func(a, b exposure.Socket) int {
		return cmp.Or(
			boolFirst(a.NetNS.ID == self, b.NetNS.ID == self),
			cmp.Compare(a.NetNS.Name, b.NetNS.Name),
			cmp.Compare(a.NetNS.ID, b.NetNS.ID),
			cmp.Compare(a.Proto, b.Proto),
			cmp.Compare(a.Port, b.Port),
			a.Addr.IP.Compare(b.Addr.IP),
			cmp.Compare(a.State, b.State),
			cmp.Compare(a.Device, b.Device),
			cmp.Compare(firstPID(&a), firstPID(&b)),
		)
	})
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func firstPID(s *exposure.Socket) int {
	if len(s.Processes) == 0 {
		return 0
	}
	return s.Processes[0].PID
}
