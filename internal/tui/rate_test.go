package tui

import (
	"math"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestRatesByHand: at two seconds between reads a rate goes half of the way
// (that is the half-life), at four seconds three quarters.
func TestRatesByHand(t *testing.T) {
	feed := &fixture{flows: []flow.Flow{conversation(6, "10.0.0.7:1000", "10.0.0.5:443"), conversation(6, "10.0.0.8:1000", "10.0.0.5:443")}}
	feed.grow(0, night, 10, 5000, 10, 5000) // before the first read: no rate
	s := newStage(t, feed, Options{})
	s.size(80, 24)
	s.tick(night)
	near(t, "rate at the first read", s.model.place.rows[0].bothWays(), 0)

	feed.grow(0, night, 4, 2000, 2, 400)
	feed.grow(1, night, 2, 200, 0, 0)
	s.tick(night.Add(2 * time.Second)) // the first rate is taken as it is
	r := s.model.place.rows[0]
	near(t, "to", r.rate[toServer], 1100)
	near(t, "from", r.rate[fromServer], 200)
	near(t, "packets a second", r.pace, 4)
	near(t, "all bytes a second", s.model.gauge.rate, 1300)
	near(t, "all packets a second", s.model.gauge.pace, 4)

	s.tick(night.Add(4 * time.Second)) // nothing came: half
	near(t, "to, half", s.model.place.rows[0].rate[toServer], 550)
	feed.grow(0, night, 4, 8000, 0, 0)
	s.tick(night.Add(8 * time.Second)) // 2000 a second over 4 s: three quarters
	near(t, "to, three quarters", s.model.place.rows[0].rate[toServer], 550+0.75*(2000-550))
	near(t, "from, three quarters", s.model.place.rows[0].rate[fromServer], 100*0.25)

	s.keys("3") // flows have rates of their own, with the same smoothing
	near(t, "flow", s.model.place.rows[0].rate[toServer], 500+0.75*(2000-500))
	if got := s.model.place.rows[0].total; got != [2]volume{{18, 15000}, {12, 5400}} {
		t.Errorf("totals: %v", got)
	}
	s.keys("2")
	near(t, "pair", s.model.place.rows[0].rate[toServer], 500+0.75*(2000-500))
}

// TestTotalsOutliveFlows: what a forgotten flow brought stays in its port;
// ports that are used again, roles that turn and flows read twice count once.
func TestTotalsOutliveFlows(t *testing.T) {
	feed := &fixture{flows: []flow.Flow{conversation(6, "10.0.0.7:1000", "10.0.0.5:443")}}
	s := newStage(t, feed, Options{})
	s.size(80, 24)
	feed.grow(0, night, 1, 100, 1, 50)
	s.tick(night)
	feed.flows[0].First++ // the same ports, another conversation
	feed.flows = append(feed.flows, feed.flows[0])
	s.tick(night.Add(time.Second))
	port := func() [2]volume { return s.model.place.rows[0].total }
	if got := port(); got != [2]volume{{2, 200}, {2, 100}} {
		t.Errorf("after another conversation: %v", got)
	}
	feed.flows = nil
	s.tick(night.Add(2 * time.Second))
	if got := port(); got != [2]volume{{2, 200}, {2, 100}} {
		t.Errorf("after all were forgotten: %v", got)
	}
	turned := conversation(6, "10.0.0.9:9", "10.0.0.5:443")
	feed.flows = []flow.Flow{turned}
	feed.grow(0, night, 3, 300, 0, 0)
	s.tick(night.Add(3 * time.Second))
	f := &feed.flows[0]
	f.Client, f.Server, f.ClientPort, f.ServerPort = f.Server, f.Client, f.ServerPort, f.ClientPort
	f.BytesToClient, f.PacketsToClient, f.BytesToServer, f.PacketsToServer = 300, 3, 0, 0
	s.tick(night.Add(4 * time.Second))
	if len(s.model.place.rows) != 1 {
		t.Errorf("turned round, the flow counts again: %v", s.model.place.rows[1])
	}
	s.keys("z")
	if r := s.model.place.rows[0]; r.total != ([2]volume{}) || r.clients != 0 {
		t.Errorf("after the reset: %v", r)
	}
	feed.grow(0, night, 0, 0, 1, 70)
	f.BytesToServer, f.PacketsToServer = 1, 1
	s.tick(night.Add(5 * time.Second))
	for _, r := range s.model.place.rows {
		if r.id.port == 9 && (r.total != [2]volume{{1, 1}, {1, 70}} || r.clients != 1 || r.servers != 1) {
			t.Errorf("after the reset and more: %+v", r)
		}
	}
}

// naive counts as the tally does, with maps and no bounds.
type naive struct {
	before  map[rowID][2]volume
	ports   map[rowID][2]volume
	clients map[rowID]map[[16]byte]bool
	pairs   map[rowID]int
}

func (n *naive) read(list []flow.Flow) {
	now := map[rowID][2]volume{}
	for i := range list {
		f := &list[i]
		v, old := volumes(f), n.before[flowID(f)]
		now[flowID(f)] = v
		id := portID(f)
		sum := n.ports[id]
		for d := range v {
			sum[d].packets += v[d].packets - old[d].packets
			sum[d].bytes += v[d].bytes - old[d].bytes
		}
		n.ports[id] = sum
		if n.clients[id] == nil {
			n.clients[id] = map[[16]byte]bool{}
		}
		n.clients[id][f.Client] = true
		if _, known := n.before[flowID(f)]; !known {
			n.pairs[pairID(f)]++
		}
	}
	n.before = now
}

// TestTallyAgainstNaive: flows come, grow and go; totals, clients and numbers
// of flows are those of a counting with maps.
func TestTallyAgainstNaive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		twin := &naive{ports: map[rowID][2]volume{}, clients: map[rowID]map[[16]byte]bool{}, pairs: map[rowID]int{}}
		ta := newTally(nil)
		feed := &fixture{}
		at, born := night, int64(0)
		for range rapid.IntRange(1, 12).Draw(rt, "reads") {
			feed.flows = rapid.Permutation(feed.flows).Draw(rt, "order")
			feed.flows = feed.flows[:rapid.IntRange(0, len(feed.flows)).Draw(rt, "left")]
			for range rapid.IntRange(0, 20).Draw(rt, "new") {
				born++
				f := conversation(6, "10.0.0.1:1", "10.0.0.9:80")
				f.First = born
				f.Client[15], f.Server[15] = rapid.ByteRange(1, 20).Draw(rt, "c"), rapid.ByteRange(1, 20).Draw(rt, "s")
				f.ServerPort = rapid.Uint16Range(1, 4).Draw(rt, "port")
				feed.flows = append(feed.flows, f)
			}
			for i := range feed.flows {
				feed.grow(i, at, rapid.Uint64Range(1, 1<<32-1).Draw(rt, "packets"), rapid.Uint64Range(1, 1<<40).Draw(rt, "bytes"), 0, 0)
			}
			at = at.Add(time.Second)
			ta.sample(feed, at, func(*flow.Flow, [2]float64) bool { return true })
			twin.read(feed.flows)
		}
		compareTallies(rt, ta, twin)
	})
}

func compareTallies(t *rapid.T, ta *tally, twin *naive) {
	if len(ta.ports.accounts) != len(twin.ports) || len(ta.pairs.accounts) != len(twin.pairs) {
		t.Fatalf("%d ports, %d pairs, want %d, %d", len(ta.ports.accounts), len(ta.pairs.accounts), len(twin.ports), len(twin.pairs))
	}
	for id, want := range twin.ports {
		a := ta.ports.get(id)
		got := a.total
		if got != want || a.clients != uint64(len(twin.clients[id])) {
			t.Fatalf("port %v: %v from %d clients, want %v from %d", id.port, got, a.clients, want, len(twin.clients[id]))
		}
	}
	for id, want := range twin.pairs {
		if got := ta.pairs.get(id).flows; got != uint64(want) {
			t.Fatalf("pair %v: %d flows, want %d", id, got, want)
		}
	}
}
