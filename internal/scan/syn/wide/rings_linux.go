package wide

import (
	"errors"
	"sync"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// openRings makes a ring for each family that the work has.
func (s *sweep) openRings() error {
	type family struct {
		etherType uint16
		filter    []bpf.Instruction
	}
	var families []family
	if !s.t.NoIPv4 {
		families = append(families, family{unix.ETH_P_IP, answers4(s.ports.first)})
	}
	if !s.t.NoIPv6 {
		families = append(families, family{unix.ETH_P_IPV6, answers6(s.ports.first)})
	}
	for range families {
		r, err := newRing()
		if err != nil {
			return err
		}
		s.rings = append(s.rings, r)
	}
	var setting sync.WaitGroup
	errs := make([]error, len(families))
	for i, f := range families {
		setting.Go(func() { errs[i] = s.rings[i].setUp(f.etherType, f.filter) })
	}
	setting.Wait()
	return errors.Join(errs...)
}

// close gives everything back. A packet socket's end waits for all
// processors, so they end side by side.
func (s *sweep) close() {
	var closing sync.WaitGroup
	for _, r := range s.rings {
		s.overrun += r.dropped()
		closing.Go(r.close)
	}
	if s.post != nil {
		closing.Go(s.post.close)
	}
	if s.ports != nil {
		s.ports.close()
	}
	closing.Wait()
	_ = unix.Close(s.wake)
}
