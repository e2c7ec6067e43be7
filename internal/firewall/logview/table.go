package logview

import (
	"cmp"
	"slices"
)

// tally is what every row counts.
type tally struct {
	events, permit, deny uint64
	first, last          int64 // Unix nanoseconds, 0 none
	missed               uint64
}

func (t *tally) add(s *sight) {
	t.events++
	switch s.action {
	case permitted:
		t.permit++
	case denied:
		t.deny++
	}
	t.span(s.time, s.time)
}

func (t *tally) span(first, last int64) {
	if first != 0 && (t.first == 0 || first < t.first) {
		t.first = first
	}
	if last != 0 && (t.last == 0 || last > t.last) {
		t.last = last
	}
}

func (t *tally) merge(o *tally) {
	t.events += o.events
	t.permit += o.permit
	t.deny += o.deny
	t.missed += o.missed
	t.span(o.first, o.last)
}

// row is a row of a table: its key, its tally and what the view keeps beside.
type row[K comparable, D any] struct {
	key  K
	hash uint64
	tally
	more D
}

// table holds at most limit rows, those with the most events. What is thrown
// out may have had up to floor events, the sum over all times that rows were
// thrown out: a row that comes later may have missed so many.
type table[K comparable, D any] struct {
	limit int
	index []uint32 // open addressing: row number + 1, 0 empty
	rows  []row[K, D]
	floor uint64
	// purges is how often rows were thrown out.
	purges int
	// sets are distinct things, roles of them for each row.
	sets  distinct
	roles int
	drop  func(*D) // of a row that is thrown out; may be nil
}

func newTable[K comparable, D any](limit, roles, distinctLimit int) *table[K, D] {
	t := &table[K, D]{limit: limit, roles: roles, index: make([]uint32, 64)}
	if roles > 0 {
		t.sets = newDistinct(distinctLimit, wideRow)
	}
	return t
}

func (t *table[K, D]) slot(h uint64, key K) int {
	mask := len(t.index) - 1
	i := int(h) & mask
	for {
		n := t.index[i]
		if n == 0 || t.rows[n-1].hash == h && t.rows[n-1].key == key {
			return i
		}
		i = (i + 1) & mask
	}
}

// find gives the row of key, made when there is none, and whether it was
// made. The pointer is valid until the next find.
func (t *table[K, D]) find(h uint64, key K) (n uint32, fresh bool) {
	i := t.slot(h, key)
	if n := t.index[i]; n != 0 {
		return n - 1, false
	}
	if len(t.rows) >= t.limit {
		t.purge(t.limit / 2)
		i = t.slot(h, key)
	}
	return t.insert(i, h, key), true
}

func (t *table[K, D]) insert(i int, h uint64, key K) uint32 {
	t.rows = append(t.rows, row[K, D]{key: key, hash: h, tally: tally{missed: t.floor}})
	n := uint32(len(t.rows))
	t.index[i] = n
	if t.roles > 0 {
		t.sets.addRows(int(n) * t.roles)
	}
	if 2*len(t.rows) > len(t.index) {
		t.reindex(2 * len(t.index))
	}
	return n - 1
}

func (t *table[K, D]) reindex(size int) {
	t.index = make([]uint32, size)
	for n := range t.rows {
		t.index[t.slot(t.rows[n].hash, t.rows[n].key)] = uint32(n + 1)
	}
}

// see adds a thing to the set that the row has for the role, and tells
// whether it is certainly known already.
func (t *table[K, D]) see(n uint32, role int, thing uint64) (known bool) {
	return t.sets.add(n*uint32(t.roles)+uint32(role), mix(t.rows[n].hash+uint64(role), thing))
}

// count is how many things are in the set: not more than the row had events.
func (t *table[K, D]) count(n uint32, role int) Count {
	c := t.sets.count(n*uint32(t.roles) + uint32(role))
	c.N = min(c.N, t.rows[n].events+t.rows[n].missed)
	return c
}

// purge keeps the rows with the most events; of equals those with the
// smallest hash, so that chance and not the order of time chooses.
func (t *table[K, D]) purge(keep int) {
	ranks := make([]uint64, len(t.rows))
	for n := range t.rows {
		ranks[n] = t.rows[n].rank()
	}
	bottom := slices.Clone(ranks)
	slices.Sort(bottom)
	least := bottom[len(bottom)-max(keep, 1)]
	most, kept := uint64(0), 0
	to := make([]uint32, len(t.rows))
	for n, rank := range ranks {
		if rank >= least && kept < keep {
			kept++
			continue
		}
		to[n] = gone
		most = max(most, t.rows[n].events)
	}
	t.floor += most
	t.purges++
	t.keep(to)
}

// rank orders rows by events, up to 2^40, then by hash.
func (r *row[K, D]) rank() uint64 { return min(r.events, 1<<40-1)<<24 | ^r.hash>>40 }

// keep leaves out the rows that to calls gone, and renames the others.
func (t *table[K, D]) keep(to []uint32) {
	kept := 0
	for n := range t.rows {
		if to[n] == gone {
			if t.drop != nil {
				t.drop(&t.rows[n].more)
			}
			continue
		}
		to[n] = uint32(kept)
		t.rows[kept] = t.rows[n]
		kept++
	}
	clear(t.rows[kept:])
	t.rows = t.rows[:kept]
	t.reindex(len(t.index))
	if t.roles > 0 {
		t.sets.rename(spread(to, t.roles), kept*t.roles)
	}
}

// spread makes a renaming of rows one of the rows' sets.
func spread(to []uint32, roles int) []uint32 {
	out := make([]uint32, 0, len(to)*roles)
	for _, n := range to {
		for role := range uint32(roles) {
			if n == gone {
				out = append(out, gone)
				continue
			}
			out = append(out, n*uint32(roles)+role)
		}
	}
	return out
}

// merge adds the rows of o; join puts together what the view keeps beside.
func (t *table[K, D]) merge(o *table[K, D], join func(mine, other *D)) {
	met := make([]bool, len(t.rows))
	to := make([]uint32, len(o.rows))
	for i := range o.rows {
		other := &o.rows[i]
		at := t.slot(other.hash, other.key)
		n := t.index[at]
		if n == 0 {
			n = t.insert(at, other.hash, other.key) + 1 // missed t.floor
		} else if int(n) <= len(met) {
			met[n-1] = true
		}
		to[i] = n - 1
		mine := &t.rows[n-1]
		mine.tally.merge(&other.tally)
		join(&mine.more, &other.more)
	}
	for n, both := range met {
		if !both {
			t.rows[n].missed += o.floor
		}
	}
	t.floor += o.floor
	if t.roles > 0 {
		t.sets.merge(&o.sets, spread(to, t.roles))
	}
	if len(t.rows) > t.limit {
		t.purge(t.limit / 2)
	}
}

// inOrder gives the rows' numbers, most events first, then by less.
func (t *table[K, D]) inOrder(compare func(a, b K) int) []uint32 {
	order := make([]uint32, len(t.rows))
	for n := range order {
		order[n] = uint32(n)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		x, y := &t.rows[a], &t.rows[b]
		return cmp.Or(cmp.Compare(y.events, x.events), compare(x.key, y.key))
	})
	return order
}

// left is what is not in the rows, of all events.
func (t *table[K, D]) left(all uint64, distinctKeys Count) Left {
	shown := uint64(0)
	for n := range t.rows {
		shown += t.rows[n].events
	}
	if t.floor == 0 {
		return Left{Events: all - shown}
	}
	rows := Count{About: distinctKeys.About}
	if have := uint64(len(t.rows)); distinctKeys.N > have {
		rows.N = distinctKeys.N - have
	}
	return Left{Rows: rows, Events: all - shown}
}
