package tui

import (
	"cmp"
	"slices"
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
// keep at most. Nothing else than its owner reads or writes it.
type ledger struct {
	index     map[rowID]int32
	accounts  []account
	keep      int
	withPast  bool
	forgotten uint64 // accounts dropped for want of room
}

// keepAccounts is how many accounts stay when there are too many.
const keepAccounts = 1 << 15

func newLedger(withPast bool) *ledger {
	return &ledger{index: map[rowID]int32{}, keep: keepAccounts, withPast: withPast}
}

// open gives the account of id, a new one where there is none. It holds until
// the next call.
func (l *ledger) open(id rowID) (a *account, made bool) {
	if i, ok := l.index[id]; ok {
		return &l.accounts[i], false
	}
	if len(l.accounts) >= 2*l.keep {
		l.prune()
	}
	l.index[id] = int32(len(l.accounts))
	l.accounts = append(l.accounts, account{id: id})
	return &l.accounts[len(l.accounts)-1], true
}

func (l *ledger) get(id rowID) *account {
	if i, ok := l.index[id]; ok {
		return &l.accounts[i]
	}
	return nil
}

// prune keeps the accounts with the most bytes.
func (l *ledger) prune() {
	slices.SortFunc(l.accounts, func(a, b account) int { return cmp.Compare(b.bytes(), a.bytes()) })
	l.forgotten += uint64(len(l.accounts) - l.keep)
	clear(l.accounts[l.keep:])
	l.accounts = l.accounts[:l.keep]
	clear(l.index)
	for i := range l.accounts {
		l.index[l.accounts[i].id] = int32(i)
	}
}

func (l *ledger) advance(elapsed time.Duration) {
	for i := range l.accounts {
		l.accounts[i].advance(elapsed, l.withPast)
	}
}

// reset begins all totals anew; rates and their past stay.
func (l *ledger) reset() {
	for i := range l.accounts {
		a := &l.accounts[i]
		a.total = [2]volume{}
		a.flows, a.clients, a.servers = 0, 0, 0
	}
	l.forgotten = 0
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
	return &distinct{slots: make([]uint64, minSlots), most: 2 * maxDistinct}
}

// add reports whether the hash is new.
func (d *distinct) add(hash uint64) bool {
	hash = fixed(hash)
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
