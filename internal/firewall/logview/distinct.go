package logview

// distinct counts distinct things for many rows in bounded memory. A thing is
// known by 64 bits that are made of the row's key and the thing.
//
// At first it holds them all, and counts are exact. When there are more than
// limit, each row has a sketch of its own (sketches). Whether and how far that
// went depends on what was seen and not on when: views may be merged in any
// way.
type distinct struct {
	limit int
	sets  []set
	// Held one by one: open addressing.
	held []thing
	live int
	// sketches replaces what is held one by one; nil before.
	sketches *sketches
	widest   int // of the sketches
	budget   int // bytes, of the sketches
}

// thing is one distinct thing and the row that has seen it. They lie side by
// side, for a table this large each look is a walk to memory. hash 0 is empty.
type thing struct {
	hash uint64
	row  uint32
}

// leastHeld and heldGrowth: how many places there are at first, and how many
// times more when they are full.
const (
	leastHeld  = 1 << 8
	heldGrowth = 2
)

// sketchBytes is how much a sketch may take for each thing that might be held
// one by one before.
const sketchBytes = 48

func newDistinct(limit, widest int) distinct {
	return distinct{limit: limit, widest: widest, budget: limit * sketchBytes, held: make([]thing, leastHeld)}
}

// addRows makes rows up to n.
func (d *distinct) addRows(n int) {
	for len(d.sets) < n {
		d.sets = append(d.sets, set{})
	}
}

// add tells whether the thing is certainly known already.
func (d *distinct) add(row uint32, h uint64) (known bool) {
	if d.sketches != nil {
		known = d.sketches.add(&d.sets[row], short(h))
		d.fit()
		return known
	}
	h |= 1 // 0 is an empty slot
	i := d.place(h)
	if d.held[i].hash == h {
		return true
	}
	d.put(i, row, h)
	switch {
	case d.live > d.limit:
		d.sketch()
	case d.live*4 > len(d.held)*3:
		d.rebuild(heldGrowth*len(d.held), nil)
	}
	return false
}

// place gives the slot of h, or the empty one where it belongs.
func (d *distinct) place(h uint64) int {
	mask := len(d.held) - 1
	i := int(h>>1) & mask
	for d.held[i].hash != 0 && d.held[i].hash != h {
		i = (i + 1) & mask
	}
	return i
}

func (d *distinct) put(i int, row uint32, h uint64) {
	d.held[i] = thing{h, row}
	d.live++
	d.sets[row].at++
}

// rebuild moves all to a new table. Rows are renamed by to, where it is
// given; those without a new name (gone) are left out.
func (d *distinct) rebuild(size int, to []uint32) {
	old := d.held
	d.held = make([]thing, size)
	d.live = 0
	for r := range d.sets {
		d.sets[r].at = 0
	}
	for _, t := range old {
		if t.hash == 0 {
			continue
		}
		r := t.row
		if to != nil {
			r = to[r]
		}
		if r != gone {
			d.put(d.place(t.hash), r, t.hash)
		}
	}
}

// sketch goes over to sketches.
func (d *distinct) sketch() {
	held := d.held
	d.held, d.live = nil, 0
	clear(d.sets)
	d.sketches = newSketches(d.widest)
	for _, t := range held {
		if t.hash != 0 {
			d.add(t.row, t.hash)
		}
	}
}

// fit makes the sketches narrower until they are within the budget.
func (d *distinct) fit() {
	for d.sketches.used > d.budget && d.sketches.width > narrowest {
		d.sketches = d.sketches.narrow(d.sets)
	}
}

// gone is the new name of a row that is no more.
const gone = 1<<32 - 1

// rename gives the rows new numbers, below n.
func (d *distinct) rename(to []uint32, n int) {
	sets := make([]set, n)
	for r := range d.sets {
		switch {
		case to[r] != gone:
			sets[to[r]] = d.sets[r]
		case d.sketches != nil:
			d.sketches.drop(&d.sets[r])
		}
	}
	d.sets = sets
	if d.sketches == nil {
		d.rebuild(len(d.held), to)
	}
}

// merge adds what o holds; to gives the rows here of o's rows.
func (d *distinct) merge(o *distinct, to []uint32) {
	if o.sketches == nil {
		for _, t := range o.held {
			if t.hash != 0 {
				d.add(to[t.row], t.hash)
			}
		}
		return
	}
	if d.sketches == nil {
		d.sketch()
	}
	for d.sketches.width > o.sketches.width {
		d.sketches = d.sketches.narrow(d.sets)
	}
	theirs, sets := o.sketches, append([]set(nil), o.sets...)
	for theirs.width > d.sketches.width {
		theirs = theirs.narrow(sets)
	}
	for r := range sets {
		d.sketches.merge(&d.sets[to[r]], theirs, &sets[r])
	}
	d.fit()
}

// count is how many distinct things the row has seen.
func (d *distinct) count(row uint32) Count {
	if d.sketches == nil {
		return Count{N: uint64(d.sets[row].at)}
	}
	return d.sketches.count(&d.sets[row])
}
