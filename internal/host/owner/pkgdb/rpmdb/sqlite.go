package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errFormat = errors.New("not a sqlite database as rpm makes it")

const (
	headerSize = 100
	maxDepth   = 20
	maxRow     = 64 << 20 // bytes of one row; the largest packages have headers of some MiB
	// maxAgain is how many pages may be read more often than once: a scan
	// meets each once, a search reads some again.
	maxAgain = 1 << 16
)

// file is a sqlite database.
type file struct {
	r        io.ReaderAt
	pageSize int
	usable   int // the page without its reserved end
	pages    uint32
	read     int // pages so far
}

func openFile(r io.ReaderAt, size int64) (*file, error) {
	head := make([]byte, headerSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	f := &file{r: r, pageSize: int(binary.BigEndian.Uint16(head[16:]))}
	if f.pageSize == 1 {
		f.pageSize = 1 << 16
	}
	const utf8 = 1
	valid := string(head[:16]) == "SQLite format 3\x00" && f.pageSize >= 512 && f.pageSize&(f.pageSize-1) == 0 &&
		binary.BigEndian.Uint32(head[56:]) <= utf8
	f.usable = f.pageSize - int(head[20])
	if !valid || f.usable < 480 {
		return nil, fmt.Errorf("%w: header", errFormat)
	}
	f.pages = uint32(min(size/int64(f.pageSize), 1<<31))
	return f, nil
}

func (f *file) page(n uint32) ([]byte, error) {
	if n == 0 || n > f.pages {
		return nil, fmt.Errorf("%w: page %d", errFormat, n)
	}
	if f.read++; f.read > int(f.pages)+maxAgain {
		return nil, fmt.Errorf("%w: too many pages", errFormat)
	}
	b := make([]byte, f.pageSize)
	if _, err := f.r.ReadAt(b, int64(n-1)*int64(f.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", n, err)
	}
	return b[:f.usable], nil
}

// Kinds of b-tree pages of tables.
const (
	interior = 5
	leaf     = 13
)

// tree is one page of a table's b-tree.
type tree struct {
	page  []byte
	kind  byte
	cells []byte // two bytes each: where the cell begins
	right uint32 // the last child of an interior page
}

func (f *file) tree(n uint32) (tree, error) {
	b, err := f.page(n)
	if err != nil {
		return tree{}, err
	}
	at := 0
	if n == 1 {
		at = headerSize
	}
	t := tree{page: b, kind: b[at]}
	count := int(binary.BigEndian.Uint16(b[at+3:]))
	cells := at + 8
	if t.kind == interior {
		t.right = binary.BigEndian.Uint32(b[at+8:])
		cells = at + 12
	}
	if t.kind != interior && t.kind != leaf || cells+2*count > len(b) {
		return tree{}, fmt.Errorf("%w: page %d is of kind %d with %d cells", errFormat, n, t.kind, count)
	}
	t.cells = b[cells : cells+2*count]
	return t, nil
}

// cell gives what follows from the beginning of a cell.
func (t tree) cell(i int) []byte {
	at := int(binary.BigEndian.Uint16(t.cells[2*i:]))
	if at > len(t.page) {
		return nil
	}
	return t.page[at:]
}

func (t tree) len() int { return len(t.cells) / 2 }

// scan calls row with every row of a table.
func (f *file) scan(root uint32, row func(id int64, payload []byte) error) error {
	return f.scanBelow(root, 0, row)
}

func (f *file) scanBelow(n uint32, depth int, row func(int64, []byte) error) error {
	t, err := f.tree(n)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: too deep", errFormat)
	}
	for i := range t.len() {
		if t.kind == interior {
			child, _, err := childOf(t.cell(i))
			if err == nil {
				err = f.scanBelow(child, depth+1, row)
			}
			if err != nil {
				return err
			}
			continue
		}
		id, payload, err := f.row(t.cell(i))
		if err == nil {
			err = row(id, payload)
		}
		if err != nil {
			return err
		}
	}
	if t.kind == interior {
		return f.scanBelow(t.right, depth+1, row)
	}
	return nil
}

// find gives the row with a number; nil when there is none.
func (f *file) find(root uint32, id int64) ([]byte, error) {
	n := root
	for range maxDepth {
		t, err := f.tree(n)
		if err != nil {
			return nil, err
		}
		if t.kind == leaf {
			return f.findIn(t, id)
		}
		n = t.right
		for i := range t.len() {
			child, last, err := childOf(t.cell(i))
			if err != nil {
				return nil, err
			}
			if id <= last {
				n = child
				break
			}
		}
	}
	return nil, fmt.Errorf("%w: too deep", errFormat)
}

func (f *file) findIn(t tree, id int64) ([]byte, error) {
	for i := range t.len() {
		cell := t.cell(i)
		_, n := varint(cell)
		if have, _ := varint(cell[n:]); n == 0 || int64(have) != id {
			continue
		}
		_, payload, err := f.row(cell)
		return payload, err
	}
	return nil, nil
}

// childOf reads a cell of an interior page: a page, and the last row number
// in it.
func childOf(cell []byte) (page uint32, last int64, err error) {
	if len(cell) < 5 {
		return 0, 0, fmt.Errorf("%w: cell cut short", errFormat)
	}
	key, n := varint(cell[4:])
	if n == 0 {
		return 0, 0, fmt.Errorf("%w: cell cut short", errFormat)
	}
	return binary.BigEndian.Uint32(cell), int64(key), nil
}

// row reads a cell of a leaf page, with its overflow pages.
func (f *file) row(cell []byte) (id int64, payload []byte, err error) {
	size, n := varint(cell)
	key, m := varint(cell[n:])
	if n == 0 || m == 0 || size > maxRow {
		return 0, nil, fmt.Errorf("%w: row", errFormat)
	}
	cell = cell[n+m:]
	local := f.local(int(size))
	if local > len(cell) {
		return 0, nil, fmt.Errorf("%w: row cut short", errFormat)
	}
	if local == int(size) {
		return int64(key), cell[:local], nil
	}
	if local+4 > len(cell) {
		return 0, nil, fmt.Errorf("%w: row cut short", errFormat)
	}
	payload, err = f.overflow(append([]byte(nil), cell[:local]...), int(size), binary.BigEndian.Uint32(cell[local:]))
	return int64(key), payload, err
}

// local is how much of a row stands in its cell (fileformat2, "Cell Payload
// Overflow Pages").
func (f *file) local(size int) int {
	most := f.usable - 35
	if size <= most {
		return size
	}
	least := (f.usable-12)*32/255 - 23
	if k := least + (size-least)%(f.usable-4); k <= most {
		return k
	}
	return least
}

func (f *file) overflow(have []byte, size int, next uint32) ([]byte, error) {
	for len(have) < size {
		b, err := f.page(next)
		if err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(b)
		have = append(have, b[4:4+min(len(b)-4, size-len(have))]...)
	}
	return have, nil
}

// varint reads sqlite's variable-length integer; 0 bytes when it is cut short.
func varint(b []byte) (v uint64, n int) {
	for n < 8 && n < len(b) {
		c := b[n]
		n++
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	if n < 8 || len(b) < 9 {
		return 0, 0
	}
	return v<<8 | uint64(b[8]), 9
}
