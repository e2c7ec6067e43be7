package watch

import (
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// sameProgram reports whether two sockets belong to one program, whatever its
// process. Where an owner is not known, the kernel's own uid of the socket
// decides.
func sameProgram(a, b *exposure.Socket) bool {
	if unowned(a) || unowned(b) {
		return a.UID == b.UID
	}
	return drift.SameProgram(a, b) || drift.SameInstance(a, b)
}

func unowned(s *exposure.Socket) bool { return len(s.Processes) == 0 && s.Kernel == nil }
