package owner

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// BenchmarkFind reads 100,000 listeners in 200 processes.
func BenchmarkFind(b *testing.B) {
	const processes, each = 200, 500
	ns := nettest.New(b)
	for range processes {
		play(b, ns, "many", nil, func(c *exec.Cmd) { c.Args = append(c.Args, strconv.Itoa(each)) })
	}
	for name, q := range methods() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table, err := Find(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				if table.Len() < processes*each {
					b.Fatalf("%d descriptors", table.Len())
				}
			}
		})
	}
}

// BenchmarkFindHere reads the machine as it is.
func BenchmarkFindHere(b *testing.B) {
	for name, q := range methods() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Find(b.Context(), q); err != nil {
					b.Skip(err)
				}
			}
		})
	}
}
