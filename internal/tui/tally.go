package tui

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// halfLife is the time in which a smoothed rate goes half of the way to a new
// one: short enough to see a burst, long enough to read the number.
const halfLife = 2 * time.Second

// smoothing is the weight of a rate that was measured over elapsed.
func smoothing(elapsed time.Duration) float64 {
	return 1 - math.Exp2(-elapsed.Seconds()/halfLife.Seconds())
}

func smooth(old, raw, weight float64) float64 {
	if v := old + weight*(raw-old); v > 0.05 {
		return v
	}
	return 0
}

// tally turns cumulative totals into rates, histories and accounts.
type tally struct {
	seed    maphash.Seed
	service func(proto uint8, port uint16) string

	flows *tracker
	ports *ledger
	pairs *ledger
	met   *distinct
	epoch uint16 // counts resets, from 1

	begun   bool
	at      time.Time // of the last read
	weight  float64   // of rates in this read
	leftOut uint64    // flows without a place in this read
	totals  totals
}

// totals are the source's own, and their rates.
type totals struct {
	last       volume
	rate, pace float64 // smoothed; bytes and packets a second
	begun      bool
	past       history
}

func newTally(service func(proto uint8, port uint16) string) *tally {
	if service == nil {
		service = func(uint8, uint16) string { return "" }
	}
	return &tally{seed: maphash.MakeSeed(), service: service, flows: newTracker(),
		epoch: 1, ports: newLedger(true), pairs: newLedger(false), met: newDistinct()}
}

// sample reads the feed at a time and counts what came since the last sample.
// Each flow is handed to also, with its smoothed rates, after it was counted.
func (t *tally) sample(feed Feed, at time.Time, also func(f *flow.Flow, rate [2]float64) bool) Status {
	elapsed := at.Sub(t.at)
	t.weight = smoothing(elapsed)
	t.flows.begin()
	t.leftOut = 0
	status := feed.Read(func(f *flow.Flow) bool {
		return also(f, t.count(f, elapsed))
	})
	t.flows.end()
	if t.begun && elapsed > 0 {
		t.ports.advance(elapsed)
		t.pairs.advance(elapsed)
		t.totals.advance(&status, elapsed)
	}
	if !t.begun {
		t.ports.settle()
		t.pairs.settle()
		t.totals.last = volume{status.Packets, status.Bytes}
	}
	t.begun, t.at = true, at
	return status
}

// settle forgets what came before the first read: it was in no time that is
// known.
func (l *ledger) settle() {
	for i := range l.accounts {
		l.accounts[i].fresh = [2]volume{}
	}
}

// count adds what a flow brought since the last read, and gives its rates.
func (t *tally) count(f *flow.Flow, elapsed time.Duration) [2]float64 {
	hash, turned := t.identify(f)
	s, how := t.flows.meet(hash)
	switch how {
	case noRoom:
		return t.countLeftOut(f, elapsed)
	case twice:
		return s.rates(turned)
	}
	came := s.take(f, turned, how == again)
	t.spread(f, s, came)
	if t.begun && elapsed > 0 {
		s.advance(came, turned, elapsed.Seconds(), t.weight)
	}
	return s.rates(turned)
}

// countLeftOut counts a flow that there is no room to remember: exactly where
// it began after the last read, else not.
func (t *tally) countLeftOut(f *flow.Flow, elapsed time.Duration) (rate [2]float64) {
	t.leftOut++
	if t.begun && f.First > t.at.UnixNano() && elapsed > 0 {
		came := volumes(f)
		t.spread(f, &remembered{epoch: t.epoch - 1}, came)
		for i := range came {
			rate[i] = float64(came[i].bytes) / elapsed.Seconds()
		}
	}
	return rate
}

// spread adds what came to the flow's port and pair.
func (t *tally) spread(f *flow.Flow, s *remembered, came [2]volume) {
	if came == ([2]volume{}) {
		return
	}
	size := f.BytesToServer + f.BytesToClient
	id := portID(f)
	port, made := t.ports.open(&id, &s.port, size)
	if made {
		port.service = clean(t.service(port.id.proto, port.id.port))
	}
	port.take(f, came)
	id = pairID(f)
	pair, _ := t.pairs.open(&id, &s.pair, size)
	pair.take(f, came)
	if s.epoch != t.epoch {
		s.epoch = t.epoch
		t.countAddresses(port, pair, f)
	}
}

func (a *account) take(f *flow.Flow, came [2]volume) {
	if a == nil {
		return
	}
	for i := range came {
		a.total[i].add(came[i])
		a.fresh[i].add(came[i])
	}
	a.last = max(a.last, f.Last)
}

// countAddresses counts a flow that was not counted since the last reset.
func (t *tally) countAddresses(port, pair *account, f *flow.Flow) {
	if pair != nil {
		pair.flows++
	}
	if port == nil {
		return
	}
	port.flows++
	if t.met.add(t.role('c', port.id, &f.Client)) {
		port.clients++
	}
	if t.met.add(t.role('s', port.id, &f.Server)) {
		port.servers++
	}
}

// role hashes an address in a port's service.
func (t *tally) role(kind byte, id rowID, addr *[16]byte) uint64 {
	var key [20]byte
	key[0], key[1] = kind, id.proto
	binary.BigEndian.PutUint16(key[2:], id.port)
	copy(key[4:], addr[:])
	return maphash.Bytes(t.seed, key[:])
}

// identify hashes a flow by its endpoints in their order and by its
// beginning (ports are used again), and says whether the server is the lower
// endpoint.
func (t *tally) identify(f *flow.Flow) (hash uint64, turned bool) {
	var key [45]byte
	order := bytes.Compare(f.Client[:], f.Server[:])
	turned = order > 0 || order == 0 && f.ClientPort > f.ServerPort
	low, high, lowPort, highPort := &f.Client, &f.Server, f.ClientPort, f.ServerPort
	if turned {
		low, high, lowPort, highPort = high, low, highPort, lowPort
	}
	key[0] = f.Proto
	copy(key[1:], low[:])
	copy(key[17:], high[:])
	binary.BigEndian.PutUint16(key[33:], lowPort)
	binary.BigEndian.PutUint16(key[35:], highPort)
	binary.BigEndian.PutUint64(key[37:], uint64(f.First))
	return maphash.Bytes(t.seed, key[:]), turned
}

// volumes are a flow's totals by direction.
func volumes(f *flow.Flow) [2]volume {
	return [2]volume{{f.PacketsToServer, f.BytesToServer}, {f.PacketsToClient, f.BytesToClient}}
}

// side is where a direction's values are kept.
func side(direction int, turned bool) int {
	if turned {
		return 1 - direction
	}
	return direction
}

// take remembers a flow's totals and gives what they grew by. Totals that
// shrank are a new flow's between the same ends.
func (s *remembered) take(f *flow.Flow, turned, old bool) (came [2]volume) {
	now := volumes(f)
	for i := range now {
		old = old && now[i].bytes >= s.bytes[side(i, turned)]
	}
	came = now
	for i, v := range now {
		at := side(i, turned)
		if old {
			came[i] = volume{uint64(uint32(v.packets) - s.packets[at]), v.bytes - s.bytes[at]}
		}
		s.bytes[at], s.packets[at] = v.bytes, uint32(v.packets)
	}
	return came
}

// advance smooths a flow's rates.
func (s *remembered) advance(came [2]volume, turned bool, seconds, weight float64) {
	for i, v := range came {
		rate := &s.rate[side(i, turned)]
		raw := float64(v.bytes) / seconds
		if *rate != *rate { // not a number: none yet
			*rate = float32(raw)
			continue
		}
		*rate = float32(smooth(float64(*rate), raw, weight))
	}
}

// rates are a flow's by direction; nought where none is known yet.
func (s *remembered) rates(turned bool) (rate [2]float64) {
	for i := range rate {
		if v := float64(s.rate[side(i, turned)]); v > 0 {
			rate[i] = v
		}
	}
	return rate
}

// rateOf gives a flow's rates without counting it.
func (t *tally) rateOf(f *flow.Flow) [2]float64 {
	hash, turned := t.identify(f)
	if s := t.flows.known(hash); s != nil {
		return s.rates(turned)
	}
	return [2]float64{}
}

func (t *totals) advance(status *Status, elapsed time.Duration) {
	now := volume{status.Packets, status.Bytes}
	came := volume{grown(t.last.packets, now.packets), grown(t.last.bytes, now.bytes)}
	t.last = now
	raw, weight := float64(came.bytes)/elapsed.Seconds(), smoothing(elapsed)
	if !t.begun {
		t.begun, weight = true, 1
	}
	t.rate = smooth(t.rate, raw, weight)
	t.pace = smooth(t.pace, float64(came.packets)/elapsed.Seconds(), weight)
	t.past.add(raw)
}

// grown is by how much a total grew; a total that shrank began anew.
func grown(old, now uint64) uint64 {
	if now < old {
		return now
	}
	return now - old
}

// reset begins the totals of ports and pairs anew. Flows keep their own.
func (t *tally) reset() {
	t.epoch = max(t.epoch+1, 1)
	t.met = newDistinct()
	t.ports.reset()
	t.pairs.reset()
}
