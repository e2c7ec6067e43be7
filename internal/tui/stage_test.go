package tui

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// night is when the tests' traffic begins.
var night = time.Date(2026, 3, 1, 3, 12, 0, 0, time.UTC)

// fixture is a feed whose flows a test changes.
type fixture struct {
	flows  []flow.Flow
	status Status
}

func (f *fixture) Read(visit func(*flow.Flow) bool) Status {
	for i := range f.flows {
		one := f.flows[i] // as a table does: used again for the next
		if !visit(&one) {
			break
		}
	}
	return f.status
}

// grow adds traffic to a flow and to the source.
func (f *fixture) grow(i int, at time.Time, packetsTo, bytesTo, packetsFrom, bytesFrom uint64) {
	one := &f.flows[i]
	one.PacketsToServer += packetsTo
	one.BytesToServer += bytesTo
	one.PacketsToClient += packetsFrom
	one.BytesToClient += bytesFrom
	one.Last = at.UnixNano()
	f.status.Packets += packetsTo + packetsFrom
	f.status.Bytes += bytesTo + bytesFrom
}

func conversation(proto uint8, client, server string) flow.Flow {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	return flow.Flow{Proto: proto, IPv6: c.Addr().Is6(), Client: c.Addr().As16(), Server: s.Addr().As16(),
		ClientPort: c.Port(), ServerPort: s.Port(), First: night.UnixNano(), Last: night.UnixNano(),
		State: flow.S1, History: "ShADad", OrientedBy: flow.BySYN}
}

// someTraffic is the traffic that the golden screens show.
func someTraffic() *fixture {
	f := &fixture{status: Status{Interfaces: []string{"eth0", "eth1"}, Since: night, DropsKnown: true}}
	f.flows = []flow.Flow{
		conversation(6, "10.0.0.7:51234", "10.0.0.5:443"),
		conversation(6, "10.0.0.8:51235", "10.0.0.5:443"),
		conversation(6, "192.168.100.100:65535", "192.168.100.200:5432"),
		conversation(17, "10.0.0.7:40000", "10.0.0.1:53"),
		conversation(6, "[2001:db8:1234:5678:9abc:def0:1234:5678]:60000", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:22"),
		conversation(1, "10.0.0.9:8", "10.0.0.5:0"),
		conversation(136, "10.0.0.7:1024", "10.0.0.5:65534"),
		conversation(47, "10.0.0.7:0", "10.0.0.5:0"),
		conversation(6, "10.0.0.66:44444", "10.0.0.5:4444"),
	}
	f.flows[2].OrientedBy = flow.ByRegistry
	f.flows[3].State, f.flows[3].History, f.flows[3].OrientedBy = flow.SF, "Dd", flow.ByListener
	f.flows[4].OrientedBy = flow.BySYNACK
	f.flows[5].State, f.flows[5].History, f.flows[5].OrientedBy = flow.OTH, "", flow.ByFirstPacket
	hostile := &f.flows[8]
	hostile.State, hostile.History = flow.REJ, "Sr"
	hostile.HasVLAN, hostile.VLAN = true, 12
	hostile.Tunnels[0], hostile.Tunnels[1], hostile.Depth = wire.VXLAN, wire.IPInIP, 2
	hostile.Refused, hostile.RefusedType, hostile.RefusedCode = 3, 3, 13
	hostile.Label = "ftp-data\x1b[31m of \u202egnp.exe"
	return f
}

// pass lets a second of traffic go by, the n-th.
func (f *fixture) pass(n int) time.Time {
	at := night.Add(time.Duration(n) * time.Second)
	size := uint64(1 + n%7)
	f.grow(0, at, 100*size, 12_500*size, 1000*size, 1_250_000*size)
	f.grow(1, at, 10, 1000, 20, 25_000)
	f.grow(2, at, 300, 30_000, 400, 500_000/size)
	f.grow(3, at, 2, 160, 2, 400)
	f.grow(4, at, 5, 500, 5, 900)
	f.grow(5, at, 1, 98, 1, 98)
	if n%20 == 1 {
		f.grow(6, at, 1, 60, 0, 0)
		f.grow(7, at, 1, 124, 1, 124)
		f.grow(8, at, 1, 74, 1, 60)
	}
	return at
}

// stage is a model with all that is behind it, but no goroutine and no clock.
type stage struct {
	t      *testing.T
	feed   Feed
	engine *engine
	model  model
	at     time.Time
	asked  want
}

func newStage(t *testing.T, feed Feed, o Options) *stage {
	s := &stage{t: t, feed: feed, model: newModel(&o), at: night}
	s.engine = newEngine(feed, &o, s.model.want())
	s.engine.now = func() time.Time { return s.at }
	s.engine.send = func(msg any) { s.model = s.model.update(msg) }
	s.asked = s.model.want()
	return s
}

// someService names the ports that the tests use.
func someService(proto uint8, port uint16) string {
	return map[string]string{"6/443": "https", "6/22": "ssh", "6/5432": "postgresql", "17/53": "domain",
		"6/4444": "krb524"}[fmt.Sprintf("%d/%d", proto, port)]
}

func (s *stage) tick(at time.Time) {
	s.at = at
	s.engine.answer(context.Background(), s.model.want(), true)
	s.owners()
}

// owners answers what the engine wishes to know, at once.
func (s *stage) owners() {
	o := s.engine.owners
	if len(o.wished) == 0 {
		return
	}
	found := map[rowID]string{}
	for i := range o.wished {
		found[flowID(&o.wished[i])] = clean(o.ask(context.Background(), &o.wished[i]))
	}
	o.wished, o.busy = nil, false
	o.store(found)
	s.send(ownersMsg(found))
}

// send hands a message to the model and its wishes to the engine.
func (s *stage) send(msg any) {
	s.model = s.model.update(msg)
	if w := s.model.want(); w != s.asked {
		old := s.asked
		s.asked = w
		ticks := time.NewTicker(time.Hour)
		s.engine.turn(context.Background(), old, w, ticks)
		ticks.Stop()
		s.owners()
	}
}

// keys presses keys: names between spaces, or the text after a slash.
func (s *stage) keys(names ...string) {
	for _, n := range names {
		if text, ok := strings.CutPrefix(n, "text:"); ok {
			for _, r := range text {
				s.send(keyMsg{string(r), string(r)})
			}
			continue
		}
		s.send(key(n))
	}
}

// key is a key by its name; one of a single letter writes it.
func key(name string) keyMsg {
	switch {
	case name == "space":
		return keyMsg{name, " "}
	case len(name) == 1:
		return keyMsg{name, name}
	}
	return keyMsg{name: name}
}

func (s *stage) size(width, height int) { s.send(sizeMsg{width, height}) }

func (s *stage) screen() string { return strings.Join(s.model.frame(), "\n") + "\n" }
