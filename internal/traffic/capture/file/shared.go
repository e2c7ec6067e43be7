package file

import (
	"slices"
	"sync"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

const (
	// maxInterfaces bounds what is kept of a hostile file's interfaces, and
	// maxText the names and filters of all of them.
	maxInterfaces = 1 << 14
	maxText       = 1 << 20
)

// shared is what other goroutines may ask while Next runs.
type shared struct {
	mu    sync.Mutex
	list  []capture.Interface
	index map[described]uint32
	text  int
	stats capture.Stats
}

// described tells interfaces apart: by their place in the section too, as two
// may be described alike.
type described struct {
	capture.Interface
	place int
}

func (s *shared) interfaces() []capture.Interface {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *shared) statistics() capture.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// publish gives the interface its number in the source; false when there are
// too many.
func (s *shared) publish(i capture.Interface, place int) (uint32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text+len(i.Name)+len(i.Filter) > maxText {
		i.Name, i.Filter = "", ""
	}
	if n, ok := s.index[described{i, place}]; ok {
		return n, true
	}
	if len(s.list) == maxInterfaces {
		return 0, false
	}
	if s.index == nil {
		s.index = map[described]uint32{}
	}
	n := uint32(len(s.list))
	s.text += len(i.Name) + len(i.Filter)
	s.index[described{i, place}] = n
	s.list = append(s.list, i)
	return n, true
}

// lost adds to the statistics.
func (s *shared) lost(received, dropped, ifDropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Known = true
	s.stats.Received += received
	s.stats.Dropped += dropped
	s.stats.IfDropped += ifDropped
}
