package scan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// saving is when the state of a survey was saved last and how long that took.
type saving struct {
	last time.Time
	took time.Duration
}

// saveEvery is how much of a scan may be lost by an end at any moment; a
// state that is slow to write is written less often, so that writing costs
// no more than a twentieth of the time.
const saveEvery = time.Second

func (v *survey) mayBeSave() {
	if v.o.Save != nil && time.Since(v.saving.last) > max(saveEvery, 20*v.saving.took) {
		v.saveNow()
	}
}

// saveSoon saves at the end of a stage, unless that takes long.
func (v *survey) saveSoon() {
	if v.saving.took < saveEvery/10 {
		v.saveNow()
	}
}

// saveNow saves; where that fails the scan goes on and says so.
func (v *survey) saveNow() {
	if v.o.Save == nil {
		return
	}
	begun := time.Now()
	if err := v.o.Save(v.state()); err != nil {
		v.gap("the state of the scan could not be saved, so it cannot go on after an end: %v", err)
		v.o.Save = nil
	}
	v.saving = saving{time.Now(), time.Since(begun)}
}

func (v *survey) state() *State {
	s := &State{Schema: StateSchema, Taken: v.out.Taken, Seconds: v.spent + time.Since(v.begun).Seconds(), Stats: v.out.Stats,
		Gaps: v.out.Gaps, Found: v.found, Looked: v.looked, Greeted: v.greeted, TCP: v.tcpAt.mark(), UDP: v.udpAt.mark(), Answers: [2]savedLedger{v.tcp.save(), v.udp.save()}}
	s.Stats.Sent += v.running.Sent
	s.Stats.Received += v.running.Received
	if v.loss.sent > 0 {
		s.Stats.Loss.Estimate = v.loss.lost / v.loss.sent
	}
	for _, addr := range slices.SortedFunc(maps.Keys(v.hosts), compareAddr) {
		if h := v.hosts[addr]; h.Up || h.EverythingAnswers {
			s.Up = append(s.Up, exposure.HostScan{Addr: h.Addr, Name: h.Name, Up: h.Up, Reason: h.Reason, MAC: h.MAC, EverythingAnswers: h.EverythingAnswers})
		}
	}
	return s
}

// resume takes over what an earlier survey saved.
func (v *survey) resume() error {
	s := v.o.Resume
	if s == nil {
		return nil
	}
	v.out.Taken, v.spent, v.found = s.Taken, s.Seconds, s.Found
	v.out.Stats, v.looked, v.greeted = s.Stats, s.Looked, s.Greeted
	v.loss = lossSum{lost: s.Stats.Loss.Estimate * float64(s.Stats.Sent), sent: float64(s.Stats.Sent)}
	if s.Looked.Parts > v.o.Targets.Len() || s.Looked.Done > s.Looked.Parts {
		return fmt.Errorf("%w: part %d of %d of its targets", ErrState, s.Looked.Done, s.Looked.Parts)
	}
	for _, up := range s.Up {
		h := v.host(up.Addr)
		h.Up, h.Reason, h.MAC, h.EverythingAnswers = up.Up, up.Reason, up.MAC, up.EverythingAnswers
	}
	if err := v.tcp.load(s.Answers[0]); err != nil {
		return err
	}
	if err := v.udp.load(s.Answers[1]); err != nil {
		return err
	}
	tcp, err := s.TCP.cursor()
	if err != nil {
		return err
	}
	udp, err := s.UDP.cursor()
	if err != nil {
		return err
	}
	v.tcpAt, v.udpAt = *tcp, *udp
	return nil
}
