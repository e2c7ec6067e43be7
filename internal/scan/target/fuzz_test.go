package target

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkError wants errors that help and that are safe to print.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		if !errors.Is(err, ErrNoTarget) && !errors.Is(err, ErrNoneLeft) && !errors.Is(err, ErrScraps) && !errors.Is(err, ErrNoPort) {
			t.Fatalf("an error of another type: %v", err)
		}
		return
	}
	if e.Why == "" || e.Hint == "" || len(err.Error()) > 1200 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\x1b\u202e") {
		t.Fatalf("an error that does not help: %q", err)
	}
}

// checkSet wants a set that holds together and nothing that must not be asked.
func checkSet(t *testing.T, s *Set) {
	t.Helper()
	var n uint64
	for r := range s.Ranges() {
		if err := checkBans(r); err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		if i, ok := s.Index(r.Last); !ok || i != n+r.Len()-1 || s.At(i) != r.Last || s.At(n) != r.First {
			t.Fatalf("%s: Index %d, %v", r, i, ok)
		}
		n += r.Len()
	}
	if n != s.Len() || n == 0 {
		t.Fatalf("Len %d, ranges hold %d", s.Len(), n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "10.0.0.0/24", "10.0.0-3.1,7,10-20", "*.*.*.*", "*.*.*.1", "10.0-9.*.1", "fe80::1%eth0-fe80::9%eth0", "[::1]:80",
		"::ffff:1.2.3.4/97", "db1.example/24", "2001:db8::/64", "fe80::/113", "255.255.255.0-255.255.255.255", "ffff::/16", "a%b", "::-::", "\xff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, spec, exclude string) {
		got, err := Parse(t.Context(), Request{Specs: []string{spec}}, names)
		if err != nil {
			checkError(t, err)
			return
		}
		checkSet(t, got.Set)
		rest, err := Parse(t.Context(), Request{Specs: []string{spec}, Exclude: []string{exclude}}, names)
		if err != nil {
			checkError(t, err)
			return
		}
		checkSet(t, rest.Set)
		if rest.Set.Len()+rest.Excluded != got.Set.Len() {
			t.Fatalf("%d left, %d excluded, %d before", rest.Set.Len(), rest.Excluded, got.Set.Len())
		}
		_ = Guard(got.Set, nil)
	})
}

func FuzzFile(f *testing.F) {
	for _, s := range []string{"10.0.0.1\n# x\n10.0.0.2", "\ufeff10.0.0.1", scanDoc, hostDoc, auditDoc, "<?xml", "{", `{"schema":"portreeve.scan/1","hosts":[[]]}`, "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(t.Context(), Request{Files: []File{file(string(b))}}, names)
		for _, g := range got.Gaps {
			if !utf8.ValidString(g.Why) {
				t.Fatalf("a gap that is no text: %q", g.Why)
			}
		}
		if err != nil {
			checkError(t, err)
			return
		}
		checkSet(t, got.Set)
	})
}

func FuzzParsePorts(f *testing.F) {
	for _, s := range []string{"22,80", "all", "-", "T:22,U:53,161", "53/udp", "syslog", "-100,60000-", "0", "1-2-3", "t:,", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		got, err := ParsePorts(spec, services)
		if err != nil {
			checkError(t, err)
			return
		}
		for _, l := range []PortList{got.TCP, got.UDP} {
			last := -1
			for _, r := range l {
				if r.First == 0 || r.Last < r.First || int(r.First) <= last+1 {
					t.Fatalf("%q: %v", spec, got)
				}
				last = int(r.Last)
			}
		}
		if len(got.TCP)+len(got.UDP) == 0 {
			t.Fatalf("%q: no port and no error", spec)
		}
	})
}
