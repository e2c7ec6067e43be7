package nmapos

import (
	"os"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The installed database: how long one match takes.
func BenchmarkMatch(b *testing.B) {
	f, err := os.Open("/usr/share/nmap/nmap-os-db")
	if err != nil {
		nettest.Missing(b, "nmap-os-db (package nmap-common)")
	}
	defer func() { _ = f.Close() }()
	db, err := Read(f)
	if err != nil {
		b.Fatal(err)
	}
	p := toy()
	for b.Loop() {
		_ = db.Match(p)
	}
}
