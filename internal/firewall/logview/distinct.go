package logview

import (
	"math"
	"slices"
)

// distinct counts distinct things for many rows in bounded memory. A thing is
// known by 64 bits that are made of the row's key and the thing.
//
// Each row holds the hashes up to its bar. At first the bar admits all, and
// the count is exact. When more than limit hashes are held, k is the largest
// power of two with which the rows, keeping their k smallest hashes each, fit
// into limit, and the bars are lowered to that. The sum over min(n, k) only
// grows with what is added, so k depends on what was seen and not on when the
// bars were lowered: views may be merged in any way.
type distinct struct {
	limit int
	k     int
	hash  []uint64 // open addressing, 0 is empty
	row   []uint32 // of the slot
	live  int
	bars  []bar
}

// bar is what a row admits and holds.
type bar struct {
	top uint64 // the largest hash admitted
	n   uint32 // held
}

const unbounded = math.MaxInt

func newDistinct(limit int) distinct {
	return distinct{limit: limit, k: unbounded, hash: make([]uint64, 256), row: make([]uint32, 256)}
}

// addRows makes rows up to n.
func (d *distinct) addRows(n int) {
	for len(d.bars) < n {
		d.bars = append(d.bars, bar{top: math.MaxUint64})
	}
}

// add tells whether the thing is certainly known already.
func (d *distinct) add(row uint32, h uint64) (known bool) {
	h |= 1 // 0 is an empty slot
	b := &d.bars[row]
	if h > b.top {
		return false
	}
	i := d.place(h)
	if d.hash[i] == h {
		return true
	}
	d.hash[i], d.row[i] = h, row
	d.live++
	b.n++
	if d.live*4 > len(d.hash)*3 {
		d.makeRoom()
	}
	return false
}

// place gives the slot of h, or the empty one where it belongs. The low bits
// choose it: the high ones are alike for what is below a bar.
func (d *distinct) place(h uint64) int {
	mask := len(d.hash) - 1
	i := int(h>>1) & mask
	for d.hash[i] != 0 && d.hash[i] != h {
		i = (i + 1) & mask
	}
	return i
}

// makeRoom doubles the table while what may be held, a limit and a half,
// needs it; then it lowers the bars.
func (d *distinct) makeRoom() {
	if d.live <= d.limit+d.limit/2 {
		d.rebuild(2*len(d.hash), nil)
		return
	}
	d.settle()
	if d.live*4 > len(d.hash)*3 { // more rows than the limit
		d.rebuild(2*len(d.hash), nil)
	}
}

// settle lowers the bars until what is held is within the limit, and to where
// they would be had it all been seen at once.
func (d *distinct) settle() {
	if d.k == unbounded && d.live <= d.limit {
		return
	}
	d.k = min(d.k, d.fitting())
	d.lower()
}

// fitting is the largest power of two k for which all rows' k smallest fit.
func (d *distinct) fitting() int {
	k := 1
	for k < d.limit && d.heldWith(2*k) <= d.limit {
		k *= 2
	}
	return k
}

func (d *distinct) heldWith(k int) int {
	sum := 0
	for _, b := range d.bars {
		sum += min(int(b.n), k)
	}
	return sum
}

// lower puts the bar of each row that holds more than k on its k-th hash.
func (d *distinct) lower() {
	many := make([][]uint64, len(d.bars))
	for r, b := range d.bars {
		if int(b.n) > d.k {
			many[r] = make([]uint64, 0, b.n)
		}
	}
	for i, h := range d.hash {
		if h != 0 && many[d.row[i]] != nil {
			many[d.row[i]] = append(many[d.row[i]], h)
		}
	}
	for r, held := range many {
		if held != nil {
			slices.Sort(held)
			d.bars[r].top = held[d.k-1]
		}
	}
	d.rebuild(len(d.hash), nil)
}

// rebuild moves what is at or below its bar to a new table. Rows are renamed
// by to, where it is given; those without a new name (gone) are left out.
func (d *distinct) rebuild(size int, to []uint32) {
	old, rows := d.hash, d.row
	d.hash, d.row = make([]uint64, size), make([]uint32, size)
	d.live = 0
	for r := range d.bars {
		d.bars[r].n = 0
	}
	for i, h := range old {
		if h == 0 {
			continue
		}
		r := rows[i]
		if to != nil {
			r = to[r]
		}
		if r != gone && h <= d.bars[r].top {
			d.keep(r, h)
		}
	}
}

func (d *distinct) keep(row uint32, h uint64) {
	i := d.place(h)
	if d.hash[i] == h {
		return
	}
	d.hash[i], d.row[i] = h, row
	d.live++
	d.bars[row].n++
}

// gone is the new name of a row that is no more.
const gone = math.MaxUint32

// rename gives the rows new numbers, below n.
func (d *distinct) rename(to []uint32, n int) {
	bars := make([]bar, n)
	for r, b := range d.bars {
		if to[r] != gone {
			bars[to[r]] = b
		}
	}
	d.bars = bars
	d.rebuild(len(d.hash), to)
}

// merge adds what o holds; to gives the rows here of o's rows.
func (d *distinct) merge(o *distinct, to []uint32) {
	d.k = min(d.k, o.k)
	cut := false
	for r, b := range o.bars {
		if mine := &d.bars[to[r]]; b.top < mine.top {
			mine.top, cut = b.top, true
		}
	}
	if cut {
		d.rebuild(len(d.hash), nil)
	}
	for i, h := range o.hash {
		if h != 0 {
			d.add(to[o.row[i]], h)
		}
	}
}

// count is how many distinct things the row has seen, once settled. With the
// bar at the k-th smallest of hashes that are even over 64 bits, (k-1)/bar is
// the unbiased estimate.
func (d *distinct) count(row uint32) Count {
	b := d.bars[row]
	if b.top == math.MaxUint64 {
		return Count{N: uint64(b.n)}
	}
	n := float64(b.n-1) / (float64(b.top) / math.Exp2(64))
	return Count{N: max(uint64(n+0.5), uint64(b.n)), About: true}
}
