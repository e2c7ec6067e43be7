package connect

import (
	"net/netip"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

// BenchmarkNetwork is the case that nmap -n -Pn -sT -p- is measured by.
func BenchmarkNetwork(b *testing.B) {
	scanner, _ := pair(b)
	w := list{[]netip.Addr{far}, ports(1, 65535)}
	for b.Loop() {
		told := 0
		scanner.Do(func() {
			if _, gaps, err := new(Network).Sweep(b.Context(), w, func(uint64, exposure.PortState) { told++ }); err != nil || len(gaps) > 0 {
				b.Errorf("%v %v", gaps, err)
			}
		})
		if told != 65535 {
			b.Errorf("told %d", told)
		}
	}
}
