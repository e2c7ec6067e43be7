package scan

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/identify"
	"github.com/portreeve/portreeve/internal/scan/order"
	"github.com/portreeve/portreeve/internal/scan/pace"
)

// Targets is an ordered set of addresses with the names they were given by.
type Targets interface {
	order.Addresses
	Name(netip.Addr) string
}

// Stages of a survey, as Progress tells them.
const (
	StageHosts    = "looking for hosts"
	StageTCP      = "asking TCP ports"
	StageControls = "asking controls"
	StageUDP      = "asking UDP ports"
	StageIdentify = "recognising services"
	StageOS       = "guessing systems"
)

// Progress is how far a survey is. Rate is probes a second, Loss a share.
type Progress struct {
	Stage       string
	Done, Total uint64
	Rate, Loss  float64
}

// SurveyOptions say what Survey asks and how.
type SurveyOptions struct {
	Targets  Targets
	TCP, UDP []uint16 // distinct ports
	Method   string   // Auto, SYN or Connect
	Pace     pace.Options
	From     netip.Addr // source address; zero: routing decides
	Iface    string     // outgoing interface; "": routing decides
	// NoDiscovery asks every target, whether it shows a sign of life or not.
	NoDiscovery bool
	// UDPWait is how long a host's limit of ICMP errors is waited for; 0 until
	// every port that refuses has said so.
	UDPWait   time.Duration
	Shard     order.Shard
	Identify  bool
	Limits    identify.Limits // of recognition
	OS        bool
	AllStates bool
	// Resume is a state that an earlier survey saved; nil begins anew.
	Resume *State
	// Save keeps the state of the survey as it goes; nil keeps none.
	Save     func(*State) error
	Progress func(Progress)
}

// Survey asks other machines, and addresses of this one among the targets,
// and says what answered. A cancelled ctx gives what is known, with a gap; the
// error is for a survey that could not be made at all.
func Survey(ctx context.Context, o SurveyOptions) (Result, error) {
	v := &survey{o: o, begun: time.Now(), tcp: newLedger(exposure.TCP, o.AllStates), udp: newLedger(exposure.UDP, o.AllStates),
		controls: newLedger(exposure.TCP, false), seed: maphash.MakeSeed(), hosts: map[netip.Addr]*exposure.HostScan{}}
	v.out = Result{Asked: map[exposure.Proto]string{}, ledgers: []*ledger{v.tcp, v.udp}}
	v.out.Taken = v.begun.UTC()
	if err := v.resume(); err != nil {
		return v.out, err
	}
	defer v.close()
	for _, stage := range []func(context.Context) error{v.discover, v.askTCP, v.askControls, v.askUDP, v.identify, v.guessOS} {
		gaps := len(v.out.Gaps)
		if err := stage(ctx); err != nil {
			return v.out, err
		}
		if ctx.Err() != nil && len(v.out.Gaps) == gaps {
			v.gap("the scan was interrupted before its end")
		}
		v.saveSoon()
		if ctx.Err() != nil || v.cutOff(len(v.out.Gaps) > gaps) {
			break
		}
	}
	v.saveNow()
	v.finish()
	return v.out, nil
}

// cutOff tells, once a sweep was made, that the way to the targets is gone:
// asking on would learn nothing. said tells that there is a gap for it.
func (v *survey) cutOff(said bool) bool {
	if v.ways == nil || v.ways.table == nil || len(v.ways.used) == 0 {
		return false
	}
	err := v.ways.down()
	if err != nil && !said {
		v.gap("%v: the scan ended early", err)
	}
	return err != nil
}

// survey is one call of Survey.
type survey struct {
	o       SurveyOptions
	begun   time.Time
	spent   float64 // seconds of earlier runs of a resumed survey
	ways    *ways
	found   bool // discovery is over
	looked  looking
	greeted netip.AddrPort // the last port that was recognised

	order    []netip.Addr // hosts to ask, ascending
	hosts    map[netip.Addr]*exposure.HostScan
	tcp, udp *ledger
	controls *ledger
	seed     maphash.Seed
	tcpAt    cursor // how far the sweeps are
	udpAt    cursor
	saving   saving
	running  exposure.ScanStats // of the sweep that is under way
	out      Result
	loss     lossSum
}

// lossSum joins the loss estimates of several sweeps, each weighed by what it
// sent.
type lossSum struct{ lost, sent float64 }

func (v *survey) gap(format string, args ...any) {
	v.addGaps([]exposure.Gap{{View: "network", Why: fmt.Sprintf(format, args...)}})
}

func (v *survey) addGaps(gaps []exposure.Gap) {
	for _, g := range gaps {
		if !slices.Contains(v.out.Gaps, g) {
			v.out.Gaps = append(v.out.Gaps, g)
		}
	}
}

func (v *survey) addStats(s exposure.ScanStats) {
	t := &v.out.Stats
	t.Sent += s.Sent
	t.Received += s.Received
	t.Loss.CanarySent += s.Loss.CanarySent
	t.Loss.CanaryLost += s.Loss.CanaryLost
	if s.Sent > 0 {
		v.loss.sent += float64(s.Sent)
		v.loss.lost += s.Loss.Estimate * float64(s.Sent)
	}
}

func (v *survey) progress(p Progress) {
	if v.o.Progress != nil {
		v.o.Progress(p)
	}
}

func (v *survey) close() {
	if v.ways != nil {
		v.ways.close()
	}
}

// host gives the entry of an address.
func (v *survey) host(addr netip.Addr) *exposure.HostScan {
	h := v.hosts[addr]
	if h == nil {
		h = &exposure.HostScan{Addr: addr, Name: v.o.Targets.Name(addr), Ports: []exposure.PortState{}}
		v.hosts[addr] = h
	}
	return h
}

// manyHosts is from how many hosts on those that said nothing are left out.
const manyHosts = 4096

// finish puts the result together.
func (v *survey) finish() {
	same := interner{}
	v.out.Hosts = make([]exposure.HostScan, 0, len(v.order))
	for _, addr := range v.order {
		h := v.known(addr)
		h.Up = h.Up || v.tcp.answered(addr) || v.udp.answered(addr)
		if !h.Up && len(v.order) > manyHosts {
			continue
		}
		h.States, h.Asked = map[exposure.PortStateName]int{}, map[exposure.Proto]int{}
		v.tcp.close(&h)
		v.udp.close(&h)
		h.States, h.Asked = same.states(h.States), same.asked(h.Asked)
		v.out.Hosts = append(v.out.Hosts, h)
	}
	if !v.o.NoDiscovery && v.found {
		v.out.Hosts = append(v.out.Hosts, v.down()...)
	}
	slices.SortFunc(v.out.Hosts, func(a, b exposure.HostScan) int { return a.Addr.Compare(b.Addr) })
	s := &v.out.Stats
	if v.loss.sent > 0 {
		s.Loss.Estimate = v.loss.lost / v.loss.sent
	}
	s.Seconds = v.spent + time.Since(v.begun).Seconds()
}

// known is what is known of an address beside its ports.
func (v *survey) known(addr netip.Addr) exposure.HostScan {
	if h := v.hosts[addr]; h != nil {
		return *h
	}
	return exposure.HostScan{Addr: addr, Name: v.o.Targets.Name(addr), Ports: []exposure.PortState{}}
}

// interner shares equal maps: of 65,536 hosts most are alike.
type interner struct {
	byStates map[string]map[exposure.PortStateName]int
	byAsked  map[string]map[exposure.Proto]int
}

func (n *interner) states(m map[exposure.PortStateName]int) map[exposure.PortStateName]int {
	return share(&n.byStates, m)
}

func (n *interner) asked(m map[exposure.Proto]int) map[exposure.Proto]int {
	return share(&n.byAsked, m)
}

func share[K ~string](known *map[string]map[K]int, m map[K]int) map[K]int {
	if *known == nil {
		*known = map[string]map[K]int{}
	}
	key := fmt.Sprint(m) // fmt sorts the keys
	if old, ok := (*known)[key]; ok {
		return old
	}
	if len(*known) < manyHosts {
		(*known)[key] = m
	}
	return m
}

// permitted tells whether an error is only a lack of privilege.
func permitted(err error) bool { return !errors.Is(err, fs.ErrPermission) }
