package synack

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Ask asks every target and tells a Print of each, in no particular order; at
// most 1.3 seconds pass between the first question to a host and its Print.
// Its error means that nothing more could be asked.
func (a Asker) Ask(ctx context.Context, targets []Target, tell func(Print)) error {
	r := &round{asker: a, ctx: ctx, tell: tell, waiting: targets, questions: map[uint32]*flight{},
		echoes: map[uint16]*flight{}, buffer: make([]byte, 65536)}
	r.echoID = uint16(random())
	defer r.close()
	return r.run()
}

func random() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.NativeEndian.Uint32(b[:])
}

// round is one call of Ask.
type round struct {
	asker     Asker
	ctx       context.Context
	tell      func(Print)
	waiting   []Target
	flights   []*flight
	questions map[uint32]*flight // by sequence number
	echoes    map[uint16]*flight // by echo sequence number
	families  [2]*family         // IPv6, IPv4
	echoID    uint16
	nextEcho  uint16
	buffer    []byte
}

// flight is one host that is waited for.
type flight struct {
	Target
	src               netip.Addr
	family            *family
	seqOpen, seqClose uint32
	echoSeq           uint16
	tsval             uint32
	tries             int
	begun, heard      time.Time
	print             Print
}

// done tells that all was heard, or that no more is waited for.
func (f *flight) done(now time.Time) bool {
	switch {
	case f.print.Err != nil || now.Sub(f.begun) >= patience:
		return true
	case f.print.SYNACK == nil:
		return false
	}
	all := f.print.Echo != 0 && (f.Closed == 0 || f.print.RST != nil)
	return all || now.Sub(f.heard) >= afterglow
}

// due is when a flight needs a look.
func (f *flight) due() time.Time {
	at := f.begun.Add(patience)
	if f.print.SYNACK != nil && f.heard.Add(afterglow).Before(at) {
		at = f.heard.Add(afterglow)
	}
	for try, after := range [...]time.Duration{0, retryAfter, retryAgain} {
		if retry := f.begun.Add(after); f.tries <= try && retry.Before(at) {
			at = retry
		}
	}
	return at
}

func (r *round) run() error {
	for len(r.waiting)+len(r.flights) > 0 {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.launch(); err != nil {
			return err
		}
		r.ask(time.Now())
		r.hear()
		r.land(time.Now())
	}
	return nil
}

// launch puts hosts into flight until enough are.
func (r *round) launch() error {
	for len(r.waiting) > 0 && len(r.flights) < r.asker.parallel() {
		t := r.waiting[0]
		r.waiting = r.waiting[1:]
		t.Addr = t.Addr.Unmap()
		fam, err := r.family(t.Addr.Is4())
		if err != nil {
			return err
		}
		f := &flight{Target: t, family: fam, tsval: random() | 1, begun: time.Now(), print: Print{Addr: t.Addr}}
		if f.src, f.print.Err = r.source(t.Addr); f.print.Err == nil {
			f.seqOpen, f.seqClose = r.number(f), r.number(f)
			f.echoSeq, r.nextEcho = r.nextEcho, r.nextEcho+1
			r.echoes[f.echoSeq] = f
		}
		r.flights = append(r.flights, f)
	}
	return nil
}

func (r *round) family(is4 bool) (*family, error) {
	slot := &r.families[0]
	if is4 {
		slot = &r.families[1]
	}
	if *slot == nil {
		f, err := openFamily(is4, r.asker.Iface, r.echoID)
		if err != nil {
			return nil, err
		}
		*slot = f
	}
	return *slot, nil
}

func (r *round) source(dst netip.Addr) (netip.Addr, error) {
	if from := r.asker.From.Unmap(); from.IsValid() && from.Is4() == dst.Is4() {
		return from.WithZone(""), nil
	}
	return sourceTo(dst, r.asker.Iface)
}

// number draws a sequence number that no other question has.
func (r *round) number(f *flight) uint32 {
	for {
		n := random()
		if _, taken := r.questions[n]; !taken && n != 0 {
			r.questions[n] = f
			return n
		}
	}
}

// ask sends what is due.
func (r *round) ask(now time.Time) {
	for _, f := range r.flights {
		after := [...]time.Duration{0, retryAfter, retryAgain}
		if f.print.Err == nil && f.tries < len(after) && now.Sub(f.begun) >= after[f.tries] {
			f.ask(r.echoID)
		}
	}
}

// ask sends the questions that have no answer yet.
func (f *flight) ask(echoID uint16) {
	ecn := f.tries == 0
	f.tries++
	if f.print.SYNACK == nil {
		f.send(f.family.tcp, f.syn(f.Open, f.seqOpen, ecn))
	}
	if f.Closed != 0 && f.print.RST == nil {
		f.send(f.family.tcp, f.syn(f.Closed, f.seqClose, ecn))
	}
	if f.print.Echo == 0 {
		f.send(f.family.icm, echoRequest(f.Addr.Is4(), echoID, f.echoSeq))
	}
}

func (f *flight) syn(port uint16, seq uint32, ecn bool) []byte {
	return syn{src: f.src, dst: f.Addr.WithZone(""), sport: f.family.port, dport: port, seq: seq,
		tsval: f.tsval, ecn: ecn}.bytes()
}

// send notes an error that will not go away by itself; the others are what
// the repetitions are for.
func (f *flight) send(fd int, b []byte) {
	err := send(fd, b, f.src, f.Addr)
	switch {
	case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EINTR):
	case f.print.SYNACK == nil:
		f.print.Err = fmt.Errorf("ask %s from %s: %w", f.Addr, f.src, err)
	}
}

// hear waits for the first answer, until a flight is due, and takes all that
// have come.
func (r *round) hear() {
	var polls []unix.PollFd
	for _, f := range r.families {
		if f != nil {
			polls = append(polls, unix.PollFd{Fd: int32(f.tcp), Events: unix.POLLIN}, unix.PollFd{Fd: int32(f.icm), Events: unix.POLLIN})
		}
	}
	wait := unix.NsecToTimespec(int64(r.wait(time.Now())))
	if n, err := unix.Ppoll(polls, &wait, nil); n <= 0 || err != nil {
		return
	}
	for _, f := range r.families {
		if f != nil {
			r.drain(f.tcp, func(m message) { r.hearTCP(f, m) })
			r.drain(f.icm, func(m message) { r.hearEcho(f, m) })
		}
	}
}

// wait is until when nothing needs to be done but hearing; a moment at most,
// so that a context's end is seen.
func (r *round) wait(now time.Time) time.Duration {
	least := 50 * time.Millisecond
	for _, f := range r.flights {
		if f.print.Err != nil {
			return 0
		}
		least = min(least, f.due().Sub(now))
	}
	return max(least, 0)
}

// maxDrain bounds what is read in one turn, so that a flood does not keep the
// flights from ending.
const maxDrain = 1024

func (r *round) drain(fd int, hear func(message)) {
	for range maxDrain {
		m, err := receive(fd, r.buffer)
		if err != nil {
			return
		}
		hear(m)
	}
}

// hearTCP takes a segment; it must acknowledge exactly a question of ours and
// come from where that went.
func (r *round) hearTCP(fam *family, m message) {
	a, ok := m.answer(fam.is4)
	if !ok || a.DPort != fam.port || a.Flags&flagACK == 0 {
		return
	}
	f, ok := r.questions[a.Ack-1]
	if !ok || a.Src != f.Addr.WithZone("") {
		return
	}
	switch {
	case a.Ack-1 == f.seqOpen && a.SPort == f.Open && a.IsSYNACK() && f.print.SYNACK == nil:
		f.print.SYNACK, f.heard = &a, time.Now()
		f.print.ECNAsked = f.tries == 1
	case a.Ack-1 == f.seqClose && a.SPort == f.Closed && a.IsReset() && f.print.RST == nil:
		f.print.RST = &a
	}
}

// answer decodes a message of a raw TCP socket.
func (m message) answer(is4 bool) (Answer, bool) {
	if is4 {
		return Decode(m.data)
	}
	a := Answer{Src: m.from.WithZone(""), TTL: m.hops, ECT: m.ect}
	return a, a.decodeTCP(m.data)
}

func (r *round) hearEcho(fam *family, m message) {
	data, hops := m.data, m.hops
	if fam.is4 {
		header, ok := header4(data)
		if !ok {
			return
		}
		data, hops = data[header:], data[8]
	}
	id, seq, ok := echoReply(fam.is4, data)
	f, known := r.echoes[seq]
	if ok && known && id == r.echoID && m.from.WithZone("") == f.Addr.WithZone("") {
		f.print.Echo = hops
	}
}

// land tells the flights that are done and forgets them.
func (r *round) land(now time.Time) {
	kept := r.flights[:0]
	for _, f := range r.flights {
		if !f.done(now) {
			kept = append(kept, f)
			continue
		}
		delete(r.questions, f.seqOpen)
		delete(r.questions, f.seqClose)
		if r.echoes[f.echoSeq] == f {
			delete(r.echoes, f.echoSeq)
		}
		r.tell(f.print)
	}
	clear(r.flights[len(kept):])
	r.flights = kept
}

func (r *round) close() {
	for _, f := range r.families {
		if f != nil {
			f.close()
		}
	}
}
