package holders

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSocketInode(t *testing.T) {
	for text, want := range map[string]uint64{
		"socket:[1]": 1, "socket:[18446744073709551615]": 1<<64 - 1,
		"socket:[]": 0, "socket:[12": 0, "socket:[1a]": 0, "socket:[18446744073709551616]": 0,
		"socket:[99999999999999999999]": 0, "/tmp/socket:[1]": 0, "pipe:[1]": 0, "": 0, "anon_inode:[eventfd]": 0,
	} {
		got, ok := socketInode([]byte(text))
		if got != want || ok != (want != 0) {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
}

// The reader of digits agrees with strconv.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "1", "2147483647", "2147483648", "99999999999", "1a", "", "-1", "task"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || strings.ContainsAny(s, "+-_") {
			return
		}
		got, ok := number(append([]byte(s), 0))
		want, err := strconv.ParseInt(s, 10, 32)
		if len(s) > 10 { // a file name with so many zeros before is no number of ours
			return
		}
		if ok != (err == nil) || ok && int64(got) != want {
			t.Errorf("%q: %d %v, strconv %d %v", s, got, ok, want, err)
		}
		inode, ok := socketInode([]byte("socket:[" + s + "]"))
		wantInode, err := strconv.ParseUint(s, 10, 64)
		if ok != (err == nil) || ok && inode != wantInode {
			t.Errorf("socket:[%s]: %d %v, strconv %d %v", s, inode, ok, wantInode, err)
		}
	})
}

func entry(name string, size int) []byte {
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b[16:], uint16(size))
	copy(b[direntHeader:], name)
	return b
}

func TestEntryNames(t *testing.T) {
	block := slices.Concat(entry("12", 24), entry("task", 32), entry("cut", 24)[:20])
	var names []string
	for name := range entryNames(block) {
		names = append(names, string(name[:len(name)-1]))
	}
	if diff := cmp.Diff([]string{"12", "task"}, names); diff != "" {
		t.Error(diff)
	}
}

func FuzzEntryNames(f *testing.F) {
	f.Add(slices.Concat(entry("12", 24), entry("a", 24)))
	f.Add(entry("", 19))
	f.Fuzz(func(t *testing.T, block []byte) {
		total := 0
		for name := range entryNames(block) {
			if name[len(name)-1] != 0 || slices.Contains(name[:len(name)-1], 0) {
				t.Errorf("name %q", name)
			}
			total += len(name)
		}
		if total > len(block) {
			t.Errorf("%d bytes of names in %d", total, len(block))
		}
	})
}

// Records survive being cut anywhere between two reads.
func TestDecodeInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Record {
			return Record{rapid.Uint64().Draw(t, "inode"), rapid.Int32Range(1, 1<<22).Draw(t, "pid"), rapid.Int32Min(0).Draw(t, "fd")}
		})).Draw(t, "records")
		var wire []byte
		for _, r := range records {
			wire = binary.NativeEndian.AppendUint64(wire, r.Inode)
			wire = binary.NativeEndian.AppendUint32(wire, uint32(r.PID))
			wire = binary.NativeEndian.AppendUint32(wire, uint32(r.FD))
		}
		var got []Record
		buf := make([]byte, 64)
		held := 0
		for len(wire) > 0 {
			n := copy(buf[held:], wire[:min(len(wire), rapid.IntRange(1, 48).Draw(t, "piece"))])
			wire = wire[n:]
			got, held = decode(got, buf, held+n)
		}
		if held != 0 || !slices.Equal(got, records) {
			t.Fatalf("got %v with %d bytes left, want %v", got, held, records)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(make([]byte, 33))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := len(b)
		records, held := decode(nil, b, n)
		if held != n%recordSize || len(records) > n/recordSize {
			t.Errorf("%d records and %d left of %d", len(records), held, n)
		}
	})
}

func TestSortDropsDoubles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Record {
			return Record{rapid.Uint64Range(0, 5).Draw(t, "inode"), rapid.Int32Range(0, 5).Draw(t, "pid"), rapid.Int32Range(0, 5).Draw(t, "fd")}
		})).Draw(t, "list")
		want := map[Record]bool{}
		for _, r := range list {
			want[r] = true
		}
		got := Sort(list)
		if len(got) != len(want) || !slices.IsSortedFunc(got, compare) {
			t.Fatalf("%v", got)
		}
	})
}

const mounts = `21 26 0:20 / /proc rw,nosuid shared:5 - proc proc rw,hidepid=invisible,gid=27
22 26 0:21 / /sys rw - sysfs sysfs rw
30 26 0:30 / /other/proc rw - proc proc rw
broken line
`

func TestProcOptions(t *testing.T) {
	for path, want := range map[string][2]string{"/proc": {"invisible", "27"}, "/other/proc": {}, "/sys": {}} {
		hidepid, gid := procOptions(mounts, path)
		if got := [2]string{hidepid, gid}; got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if hidepid, _ := procOptions("21 26 0:20 / /proc rw - proc proc rw,hidepid=off", "/proc"); hidepid != "" {
		t.Errorf("off is %q", hidepid)
	}
}

func FuzzProcOptions(f *testing.F) {
	f.Add(mounts)
	f.Fuzz(func(t *testing.T, text string) { procOptions(text, "/proc") })
}

func TestHidden(t *testing.T) {
	for _, c := range []struct {
		p    Privilege
		says string
	}{
		{Privilege{HidePID: "2"}, "CAP_SYS_PTRACE shows them"},
		{Privilege{HidePID: "ptraceable", GID: "27"}, "membership of group 27"},
		{Privilege{HidePID: "1"}, ""},
		{Privilege{HidePID: "2", SysPtrace: true}, ""},
		{Privilege{HidePID: "2", SysPtrace: true, UserNamespace: true}, "hidepid=2"},
		{Privilege{}, ""},
	} {
		if got := c.p.Hidden(); !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
			t.Errorf("%+v: %q", c.p, got)
		}
	}
}

func TestErrorsWrap(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{&LoadError{"load", cause}, &WalkError{"/proc", cause}} {
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "cause") {
			t.Error(err)
		}
	}
}
