package nmapprobes

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// installed loads the file of Debian's nmap-common; nothing of it is kept.
func installed(t testing.TB) *DB {
	t.Helper()
	nettest.Need(t, "nmap")
	path, ok := Find(Look{Getenv: func(string) string { return "" }})
	if !ok {
		nettest.Missing(t, "nmap-service-probes of nmap-common")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	db, notes, err := Load(f)
	if err != nil || len(notes) != 0 {
		t.Fatal(err, notes)
	}
	db.time, db.shelf.Timeout = time.Minute, time.Minute // what is found may not depend on how busy the machine is
	return db
}

// Every match line of the installed file can be run by one of the engines,
// few of them only by the backtracking one.
func TestInstalledFileCompiles(t *testing.T) {
	db := installed(t)
	notes, heavy := db.Check()
	lines := db.Health().Lines
	t.Logf("%d lines, %d of them backtrack, %d cannot be run", lines, heavy, len(notes))
	if len(notes) != 0 || lines < 11_000 || heavy*10 > lines {
		t.Error(notes)
	}
	null := db.Probe("tcp", "NULL")
	if null == nil || null.Payload != "" || len(db.Probes("tcp", 80, 7)) < 20 || !db.Excluded("tcp", 9100) || db.Excluded("udp", 9100) {
		t.Error("NULL, the probes of port 80, or the excluded printers")
	}
}

// An answer meets few patterns of the file, whatever its number of lines, and
// costs next to no memory once those are compiled. Times are logged, not
// judged: they are the machine's. BenchmarkInstalledMatch measures them.
func TestInstalledFileIsCheap(t *testing.T) {
	start := time.Now()
	db := installed(t)
	loaded := time.Since(start)
	answer := httpAnswer()
	all := func() {
		s := db.search(t.Context(), answer)
		s.want = func(l *line) bool { return !l.soft } // one would end the search of other services
		s.everywhere("tcp")
		if r, ok := s.best(); ok {
			t.Errorf("%+v", r)
		}
	}
	all()
	start = time.Now()
	all()
	took := time.Since(start)
	allocs := testing.AllocsPerRun(5, all)
	t.Logf("loaded in %v; %d bytes through all lines in %v with %v allocations and %d patterns compiled", loaded, len(answer), took, allocs, db.shelf.Kept())
	if allocs > 300 || db.shelf.Kept() > 1500 {
		t.Errorf("%v allocations, %d patterns compiled", allocs, db.shelf.Kept())
	}
}

// httpAnswer is 1 KiB that begins like what many lines ask for and matches
// none of them.
func httpAnswer() []byte {
	head := "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: nobody-knows-me\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><head><title>Login</title></head><body>"
	return fmt.Appendf(nil, "%s%s", head, strings.Repeat("<p>lorem ipsum dolor</p>\r\n", 1024/26+1))[:1024]
}

func BenchmarkInstalledMatch(b *testing.B) {
	db := installed(b)
	answer := httpAnswer()
	b.ReportAllocs()
	for b.Loop() {
		db.Match(b.Context(), "tcp", "GetRequest", answer)
	}
}
