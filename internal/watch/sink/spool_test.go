package sink

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func mustSpool(t testing.TB, dir string, most int64) (*spool, repairs) {
	t.Helper()
	s, rep, err := openSpool(dir, most)
	if err != nil {
		t.Fatal(err)
	}
	return s, rep
}

// take delivers everything and returns the ids.
func take(t testing.TB, s *spool, batch int) (out []string) {
	t.Helper()
	for {
		list, err := s.peek(batch)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return out
		}
		for i := range list {
			out = append(out, list[i].ID)
		}
		if err := s.done(&list[len(list)-1], len(list)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpoolBesideQueue: whatever is appended, taken and reopened in whatever
// order, the spool is a plain queue.
func TestSpoolBesideQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "s")
		if err != nil {
			rt.Fatal(err)
		}
		s, _ := mustSpool(t, dir, 1<<20)
		var queue []string
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				id := fmt.Sprint("id", n)
				n++
				size := rapid.IntRange(0, 40_000).Draw(rt, "size")
				err := s.append(id, bytes.Repeat([]byte("x"), size))
				if err == nil {
					queue = append(queue, id)
				} else if !errors.Is(err, ErrSpoolFull) {
					rt.Fatal(err)
				}
			},
			"take": func(rt *rapid.T) {
				list, err := s.peek(rapid.IntRange(1, 20).Draw(rt, "most"))
				if err != nil {
					rt.Fatal(err)
				}
				if len(list) == 0 && len(queue) > 0 {
					rt.Fatal("nothing there, want", queue[0])
				}
				for i := range list {
					if list[i].ID != queue[i] {
						rt.Fatalf("got %s, want %s", list[i].ID, queue[i])
					}
				}
				if len(list) > 0 {
					if err := s.done(&list[len(list)-1], len(list)); err != nil {
						rt.Fatal(err)
					}
					queue = queue[len(list):]
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := s.close(); err != nil {
					rt.Fatal(err)
				}
				s, _ = mustSpool(t, dir, 1<<20)
			},
			"": func(rt *rapid.T) {
				if got, _ := s.usage(); got != len(queue) {
					rt.Fatalf("%d wait, want %d", got, len(queue))
				}
			},
		})
		if got := take(t, s, 7); !slices.Equal(got, queue) {
			rt.Fatalf("left %v, want %v", got, queue)
		}
		_ = s.close()
	})
}

// TestSpoolTorn cuts the last segment at each byte: all whole notices before
// are there, and what comes after is too.
func TestSpoolTorn(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustSpool(t, dir, 1<<20)
	for i := range 4 {
		if err := s.append(fmt.Sprint("n", i), []byte(`{"body":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	path := s.path(1)
	_ = s.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	each := len(whole) / 4
	for cut := range whole {
		d := t.TempDir()
		if err := os.WriteFile(filepath.Join(d, filepath.Base(path)), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, rep := mustSpool(t, d, 1<<20)
		if want := int64(cut % each); rep.Torn != want {
			t.Fatalf("cut at %d: torn %d, want %d", cut, rep.Torn, want)
		}
		if err := s.append("after", nil); err != nil {
			t.Fatal(err)
		}
		if got := take(t, s, 10); len(got) != cut/each+1 || got[len(got)-1] != "after" {
			t.Fatalf("cut at %d: %v", cut, got)
		}
		_ = s.close()
	}
}

// TestSpoolDamaged flips each byte of one record in the middle: that one is
// lost, and no other.
func TestSpoolDamaged(t *testing.T) {
	var whole []byte
	for i := range 5 {
		whole, _ = appendRecord(whole, fmt.Sprint("n", i), []byte(`{"body":1}`))
	}
	each := len(whole) / 5
	for at := 2 * each; at < 3*each; at++ {
		d := t.TempDir()
		b := bytes.Clone(whole)
		b[at] ^= 0x41
		if err := os.WriteFile(filepath.Join(d, "000000000003.spool"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, rep := mustSpool(t, d, 1<<20)
		if rep.Damaged == 0 {
			t.Fatal("the damage is not told")
		}
		if got := take(t, s, 10); !slices.Equal(got, []string{"n0", "n1", "n3", "n4"}) {
			t.Fatalf("byte %d: %v", at, got)
		}
		_ = s.close()
	}
}

// TestSpoolLedgerAhead: the ledger survived the machine's death and the
// segment did not; new notices are not taken for delivered.
func TestSpoolLedgerAhead(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustSpool(t, dir, 1<<20)
	for i := range 3 {
		if err := s.append(fmt.Sprint("n", i), []byte("body")); err != nil {
			t.Fatal(err)
		}
	}
	_ = take(t, s, 10)
	_ = s.close()
	if err := os.WriteFile(filepath.Join(dir, "000000000001.spool"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ = mustSpool(t, dir, 1<<20)
	defer s.close()
	if err := s.append("new", nil); err != nil {
		t.Fatal(err)
	}
	if got := take(t, s, 10); !slices.Equal(got, []string{"new"}) {
		t.Fatal(got)
	}
}

func TestSpoolLedgerIsRenewed(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustSpool(t, dir, 1<<20)
	for i := range 2 * ledgerMost / ledgerEntry {
		if err := s.append(fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
		if got := take(t, s, 1); len(got) != 1 || got[0] != fmt.Sprint(i) {
			t.Fatal(i, got)
		}
	}
	_ = s.close()
	if st, err := os.Stat(filepath.Join(dir, "done")); err != nil || st.Size() > ledgerMost+ledgerEntry {
		t.Fatal(st, err)
	}
	s, _ = mustSpool(t, dir, 1<<20)
	defer s.close()
	if n, _ := s.usage(); n != 0 {
		t.Fatal(n, "are there again")
	}
}

func TestSpoolBound(t *testing.T) {
	s, _ := mustSpool(t, t.TempDir(), minSpool)
	defer s.close()
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = s.append(fmt.Sprint(n), make([]byte, 1000))
	}
	if !errors.Is(err, ErrSpoolFull) || n < 200 {
		t.Fatal(n, err)
	}
	if _, bytes := s.usage(); bytes > minSpool {
		t.Fatal(bytes)
	}
	if got := take(t, s, 10); len(got) != n-1 {
		t.Fatal(len(got), n)
	}
	if err := s.append("again", make([]byte, 1000)); err != nil {
		t.Fatal("there is room again, and:", err)
	}
}

func TestSpoolOneProcess(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustSpool(t, dir, 1<<20)
	if _, _, err := openSpool(dir, 1<<20); !errors.Is(err, ErrSpoolTaken) {
		t.Fatal(err)
	}
	_ = s.close()
	s, _ = mustSpool(t, dir, 1<<20)
	_ = s.close()
}

func FuzzSpoolReader(f *testing.F) {
	one, _ := appendRecord(nil, "id", []byte(`{"a":1}`))
	two, _ := appendRecord(append([]byte("junk"), one...), "other", nil)
	f.Add([]byte{}, []byte("id"))
	f.Add(one, []byte("x"))
	f.Add(two, []byte("PRn1"))
	f.Add(one[:len(one)-1], one)
	f.Fuzz(func(t *testing.T, junk, body []byte) {
		// Whatever stands before, a sound record behind it is found once.
		if bytes.Contains(junk, []byte(recordMagic)) && len(junk) > 1<<16 {
			return
		}
		b, err := appendRecord(bytes.Clone(junk), "mine", body)
		if err != nil {
			t.Skip()
		}
		found := 0
		good, damaged := scan(b, func(r record, end int64) {
			if r.ID == "mine" && bytes.Equal(r.Body, body) && end == int64(len(b)) {
				found++
			}
		})
		if good > int64(len(b)) || damaged > good {
			t.Fatal(good, damaged, len(b))
		}
		_, size, ok := parseRecord(junk)
		swallowed := ok && size > len(junk)
		if found != 1 && !swallowed && !bytes.Contains(junk, []byte(recordMagic)) {
			t.Fatalf("found %d times behind %q", found, junk)
		}
		lastEntry(junk)
	})
}
