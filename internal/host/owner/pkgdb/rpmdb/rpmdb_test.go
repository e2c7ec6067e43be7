package rpmdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// varintOf writes a small variable-length integer.
func varintOf(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{byte(n>>7) | 0x80, byte(n & 0x7f)}
}

// rowOf writes a row of a leaf: its number, then columns of text or small
// integers.
func rowOf(id int, values ...any) []byte {
	var types, body []byte
	for _, v := range values {
		switch v := v.(type) {
		case string:
			types, body = append(types, varintOf(13+2*len(v))...), append(body, v...)
		case []byte:
			types, body = append(types, varintOf(12+2*len(v))...), append(body, v...)
		case int:
			types, body = append(types, 1), append(body, byte(v))
		}
	}
	record := append(varintOf(len(types)+1), append(types, body...)...)
	return append(append(varintOf(len(record)), varintOf(id)...), record...)
}

// leafOf writes a leaf page.
func leafOf(size, at int, rows ...[]byte) []byte {
	page := make([]byte, size)
	page[at] = leaf
	binary.BigEndian.PutUint16(page[at+3:], uint16(len(rows)))
	end := size
	for i, row := range rows {
		end -= len(row)
		copy(page[end:], row)
		binary.BigEndian.PutUint16(page[at+8+2*i:], uint16(end))
	}
	return page
}

func headerOf(name, dir, base string) []byte {
	data := name + "\x00" + dir + "\x00" + base + "\x00"
	for len(data)%4 != 0 {
		data += "\x00"
	}
	indexes := len(data)
	data += "\x00\x00\x00\x00"
	b := binary.BigEndian.AppendUint32(nil, 4)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	for _, e := range [][4]int{{tagName, 6, 0, 1}, {tagDirNames, 8, len(name) + 1, 1}, {tagBasenames, 8, len(name) + len(dir) + 2, 1}, {tagDirIndexes, 4, indexes, 1}} {
		for _, n := range e {
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		}
	}
	return append(b, data...)
}

// sample is a database of one package.
func sample() []byte {
	const size = 512
	first := leafOf(size, headerSize,
		rowOf(1, "table", "Packages", "Packages", 2, "CREATE"),
		rowOf(2, "index", "other", "x", 3, "CREATE"),
		rowOf(3, "table", "Basenames", "Basenames", 3, "CREATE"))
	copy(first, "SQLite format 3\x00")
	binary.BigEndian.PutUint16(first[16:], size)
	binary.BigEndian.PutUint32(first[56:], 1)
	return bytes.Join([][]byte{
		first,
		leafOf(size, 0, rowOf(7, "", headerOf("nginx", "/usr/sbin/", "nginx"))),
		leafOf(size, 0, rowOf(1, "nginx", 7, 0), rowOf(2, "nginx", 8, 0), rowOf(3, "nginx", 7, 9)),
	}, nil)
}

func owners(t testing.TB, db []byte) (map[string]string, error) {
	t.Helper()
	got := map[string]string{}
	err := Owners(t.Context(), bytes.NewReader(db), int64(len(db)), func(base string) bool { return base == "nginx" },
		func(file, pkg string) { got[file] = pkg })
	return got, err
}

func TestOwners(t *testing.T) {
	got, err := owners(t, sample())
	if err != nil || len(got) != 1 || got["/usr/sbin/nginx"] != "nginx" {
		t.Errorf("%v %v", got, err)
	}
}

func TestRefuses(t *testing.T) {
	good := sample()
	for _, cut := range []int{0, 50, 100, 511, 512, 1024} {
		if got, err := owners(t, good[:cut]); err == nil {
			t.Errorf("cut after %d: %v", cut, got)
		}
	}
	loop := bytes.Clone(good) // an interior page that is its own child
	page := loop[1024:]
	clear(page)
	page[0] = interior
	binary.BigEndian.PutUint32(page[8:], 3)
	begun := time.Now()
	if _, err := owners(t, loop); !errors.Is(err, errFormat) {
		t.Errorf("loop: %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("loop: %v", took)
	}
}

func TestVarint(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		v    uint64
		size int
	}{
		{[]byte{0}, 0, 1}, {[]byte{0x7f}, 127, 1}, {[]byte{0x81, 0}, 128, 2}, {[]byte{0x80}, 0, 0}, {nil, 0, 0},
		{bytes.Repeat([]byte{0xff}, 9), 1<<64 - 1, 9}, {bytes.Repeat([]byte{0xff}, 8), 0, 0},
	} {
		if v, n := varint(c.b); v != c.v || n != c.size {
			t.Errorf("%x: %d %d", c.b, v, n)
		}
	}
}

func FuzzOwners(f *testing.F) {
	f.Add(sample())
	f.Add([]byte("SQLite format 3\x00"))
	f.Fuzz(func(t *testing.T, db []byte) {
		if len(db) > 1<<16 {
			return
		}
		_, _ = owners(t, db)
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(headerOf("a", "/b/", "c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		for place := int64(-1); place < 3; place++ {
			h.file(place)
		}
	})
}
