package registry

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func entryGen() *rapid.Generator[Entry] {
	name := rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9_./*+-]{0,14}`)
	return rapid.Custom(func(t *rapid.T) Entry {
		return Entry{
			Transport:   Transport(rapid.IntRange(0, int(transports)-1).Draw(t, "transport")),
			Port:        rapid.Uint16().Draw(t, "port"),
			Names:       rapid.SliceOfN(name, 0, 3).Draw(t, "names"),
			Description: strings.ReplaceAll(rapid.String().Draw(t, "description"), "\x00", ""),
		}
	})
}

func entriesGen() *rapid.Generator[[]Entry] {
	return rapid.SliceOfDistinct(entryGen(), func(e Entry) [2]int { return [2]int{int(e.Transport), int(e.Port)} })
}

// What Encode wrote, Decode gives back; a map is the naive twin.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := entriesGen().Draw(t, "entries")
		data, err := Encode(entries)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Decode(string(data))
		if err != nil {
			t.Fatal(err)
		}
		twin := map[[2]int]Entry{}
		for _, e := range entries {
			twin[[2]int{int(e.Transport), int(e.Port)}] = e
		}
		n := 0
		for e := range table.All() {
			n++
			want := twin[[2]int{int(e.Transport), int(e.Port)}]
			if len(want.Names) == 0 {
				want.Names = e.Names[:0]
			}
			if d := cmp.Diff(want, e); d != "" {
				t.Fatal(d)
			}
		}
		if n != len(entries) {
			t.Fatalf("%d entries, want %d", n, len(entries))
		}
		at := entryGen().Draw(t, "asked")
		want, ok := twin[[2]int{int(at.Transport), int(at.Port)}]
		got, found := table.Find(at.Transport, at.Port)
		if ok != found || got.Name() != want.Name() || table.Name(at.Transport, at.Port) != want.Name() {
			t.Fatalf("Find(%v, %d) = %+v, %v; want %+v, %v", at.Transport, at.Port, got, found, want, ok)
		}
	})
}

func TestEncodeIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := entriesGen().Draw(t, "entries")
		a, err := Encode(entries)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Encode(rapid.Permutation(entries).Draw(t, "shuffled"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Fatal("another order gave other bytes")
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	for name, entries := range map[string][]Entry{
		"twice":               {{Port: 1}, {Port: 1}},
		"name with a space":   {{Port: 1, Names: []string{"a b"}}},
		"empty name":          {{Port: 1, Names: []string{""}}},
		"zero in name":        {{Port: 1, Names: []string{"a\x00"}}},
		"zero in description": {{Port: 1, Description: "\x00"}},
		"transport":           {{Transport: transports, Port: 1}},
		"blank name":          {{Port: 1, Names: []string{" "}}},
	} {
		if _, err := Encode(entries); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func sample(t testing.TB) []byte {
	data, err := Encode([]Entry{
		{Transport: TCP, Port: 22, Names: []string{"ssh"}, Description: "Secure Shell"},
		{Transport: UDP, Port: 53, Names: []string{"domain", "dns"}, Description: "Names"},
		{Transport: SCTP, Port: 22, Names: []string{"ssh"}, Description: "Secure Shell"},
		{Transport: DCCP, Port: 9, Description: "Reserved"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestNamed(t *testing.T) {
	table, err := Decode(string(sample(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Named("SSH"); len(got) != 2 || got[0].Transport != TCP || got[1].Transport != SCTP {
		t.Errorf("Named(SSH) = %+v", got)
	}
	if got := table.Named("dns"); len(got) != 1 || got[0].Port != 53 {
		t.Errorf("Named(dns) = %+v", got)
	}
	if got := table.Named("nobody"); got != nil {
		t.Errorf("Named(nobody) = %+v", got)
	}
	if table.Len(transports) != 0 || table.Len(-1) != 0 || table.Name(transports, 1) != "" {
		t.Error("a transport that does not exist has entries")
	}
}

// Every cut of a good table is refused, or (cut inside the text) still sound.
func TestDecodeCut(t *testing.T) {
	data := sample(t)
	for n := range len(data) {
		table, err := Decode(string(data[:n]))
		if err == nil {
			t.Errorf("cut at %d: accepted", n)
			_ = table
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: %v does not wrap ErrDamaged", n, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(string(sample(f)))
	f.Add("")
	f.Add(magic)
	f.Add(magic + strings.Repeat("\xff", 20))
	f.Fuzz(func(t *testing.T, data string) {
		table, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v does not wrap ErrDamaged", err)
			}
			return
		}
		n := 0
		for e := range table.All() {
			n++
			got, ok := table.Find(e.Transport, e.Port)
			if !ok || got.Description != e.Description {
				t.Fatalf("All has %+v, Find gives %+v, %v", e, got, ok)
			}
		}
		if want := table.Len(TCP) + table.Len(UDP) + table.Len(SCTP) + table.Len(DCCP); n != want {
			t.Fatalf("%d entries, want %d", n, want)
		}
	})
}
