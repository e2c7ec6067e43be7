package tui

import (
	"math"
	"slices"
	"sort"
	"time"
)

// volume is an amount of traffic.
type volume struct{ packets, bytes uint64 }

func (v *volume) add(w volume) {
	v.packets += w.packets
	v.bytes += w.bytes
}

// The two directions of a flow.
const (
	toServer = iota
	fromServer
)

// account is what is kept of a port or a pair. Rates are smoothed; the past
// has each read's as it was.
type account struct {
	id    rowID
	total [2]volume // since the start or the last reset
	fresh [2]volume // since the last rates
	rate  [2]float64
	pace  float64 // packets a second
	last  int64   // Unix nanoseconds
	begun bool    // has rates

	flows, clients, servers uint64

	past    *history
	service string
}

func (a *account) bytes() uint64 { return a.total[toServer].bytes + a.total[fromServer].bytes }

// advance makes rates out of what came in the time since the last ones.
func (a *account) advance(elapsed time.Duration, withPast bool) {
	s := elapsed.Seconds()
	raw := [2]float64{float64(a.fresh[0].bytes) / s, float64(a.fresh[1].bytes) / s}
	pace := float64(a.fresh[0].packets+a.fresh[1].packets) / s
	a.fresh = [2]volume{}
	weight := smoothing(elapsed)
	if !a.begun {
		a.begun, weight = true, 1
	}
	for i := range raw {
		a.rate[i] = smooth(a.rate[i], raw[i], weight)
	}
	a.pace = smooth(a.pace, pace, weight)
	if sum := raw[0] + raw[1]; withPast && (a.past != nil || sum > 0) {
		if a.past == nil {
			a.past = new(history)
		}
		a.past.add(sum)
	}
}

// ledger holds the accounts of one kind, of those with the most bytes twice
// keep at most. Once it was full, flows open accounts only when they have as
// many bytes as the least of those that stayed: many small ones, as scans make
// them, must not push each other in and out.
type ledger struct {
	least uint64 // bytes of the least account that stayed

	index     map[rowID]int32
	accounts  []account
	keep      int
	withPast  bool
	forgotten uint64 // accounts dropped or not opened for want of room
}

// keepAccounts is how many accounts stay when there are too many.
const keepAccounts = 1 << 15

func newLedger(withPast bool) *ledger {
	return &ledger{index: map[rowID]int32{}, keep: keepAccounts, withPast: withPast}
}

// refused is the place of an account that was not opened.
const refused = math.MaxUint32

// open gives the account of id for a flow of so many bytes, a new one where
// there is none; nil: it is refused. It is looked for first where it was
// before. It holds until the next call.
func (l *ledger) open(id *rowID, before *uint32, size uint64) (a *account, made bool) {
	if i := int(*before); i < len(l.accounts) && l.accounts[i].id == *id {
		return &l.accounts[i], false
	}
	if *before == refused && size < l.least {
		return nil, false
	}
	if i, ok := l.index[*id]; ok {
		*before = uint32(i)
		return &l.accounts[i], false
	}
	if size < l.least {
		*before = refused
		l.forgotten++
		return nil, false
	}
	if len(l.accounts) >= 2*l.keep {
		l.prune()
	}
	*before = uint32(len(l.accounts))
	l.index[*id] = int32(len(l.accounts))
	l.accounts = append(l.accounts, account{id: *id})
	return &l.accounts[len(l.accounts)-1], true
}

func (l *ledger) get(id rowID) *account {
	if i, ok := l.index[id]; ok {
		return &l.accounts[i]
	}
	return nil
}

// prune keeps the accounts with the most bytes, in their order.
func (l *ledger) prune() {
	sizes := make([]uint64, len(l.accounts))
	for i := range l.accounts {
		sizes[i] = l.accounts[i].bytes()
	}
	slices.Sort(sizes)
	least := sizes[len(sizes)-l.keep]
	more := sort.Search(len(sizes), func(i int) bool { return sizes[i] > least })
	equal := l.keep - (len(sizes) - more) // how many of those with the least stay
	l.least = least
	kept := l.accounts[:0]
	clear(l.index)
	for i := range l.accounts {
		a := &l.accounts[i]
		if a.bytes() == least {
			equal--
		}
		if a.bytes() > least || a.bytes() == least && equal >= 0 {
			l.index[a.id] = int32(len(kept))
			kept = append(kept, *a)
		}
	}
	l.forgotten += uint64(len(l.accounts) - len(kept))
	clear(l.accounts[len(kept):])
	l.accounts = kept
}

func (l *ledger) advance(elapsed time.Duration) {
	least := uint64(math.MaxUint64)
	for i := range l.accounts {
		l.accounts[i].advance(elapsed, l.withPast)
		least = min(least, l.accounts[i].bytes())
	}
	if l.least > 0 && len(l.accounts) >= l.keep {
		l.least = max(l.least, least) // all that stayed have grown
	}
}

// reset begins all totals anew; rates and their past stay.
func (l *ledger) reset() {
	for i := range l.accounts {
		a := &l.accounts[i]
		a.total = [2]volume{}
		a.flows, a.clients, a.servers = 0, 0, 0
	}
	l.forgotten, l.least = 0, 0
}

// distinct remembers which addresses were counted where: hashes in a table of
// bounded size. When that is full, counts are lower bounds.
type distinct struct {
	slots []uint64
	held  int
	most  int
	full  bool
}

// maxDistinct is how many are told apart, 8 bytes each.
const maxDistinct = 1 << 20

func newDistinct() *distinct {
	return &distinct{slots: make([]uint64, minIndex), most: 2 * maxDistinct}
}

// add reports whether the hash is new.
func (d *distinct) add(hash uint64) bool {
	hash = max(hash, 1) // 0 marks an empty slot
	at := d.find(hash)
	if *at == hash {
		return false
	}
	if 2*(d.held+1) > len(d.slots) {
		if len(d.slots) >= d.most {
			d.full = true
			return false
		}
		old := d.slots
		d.slots = make([]uint64, 2*len(old))
		for _, h := range old {
			if h != 0 {
				*d.find(h) = h
			}
		}
		at = d.find(hash)
	}
	*at = hash
	d.held++
	return true
}

func (d *distinct) find(hash uint64) *uint64 {
	mask := uint64(len(d.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &d.slots[i]; *s == hash || *s == 0 {
			return s
		}
	}
}
