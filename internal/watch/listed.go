package watch

import (
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// suspicion is one difference between the engine's rows and a listing.
type suspicion struct {
	at    exposure.Endpoint
	open  bool // listed, and not known to the engine
	about string
}

const listing = "listing"

// Listed takes a whole listing that began at begun and brings the rows in line
// with it. A difference counts when two listings in a row show it, because an
// event may be on its way; more reports that another listing should follow
// soon. Endpoints of which an event spoke since begun are left alone.
func (e *Engine) Listed(open []exposure.Socket, begun, now time.Time) (more bool) {
	found := map[suspicion]bool{}
	seen := map[*row]bool{}
	var fresh []*exposure.Socket
	for i := range open {
		s := &open[i]
		if !s.IsListener() {
			continue
		}
		if r := e.rowOf(s, seen); r != nil {
			seen[r] = true
			e.refresh(r, s, begun, now)
			continue
		}
		if e.confirmed(found, suspicion{s.Endpoint(), true, ownerName(s)}, begun) {
			fresh = append(fresh, s)
		}
	}
	e.missed(e.absent(seen, found, begun), now)
	for _, s := range fresh {
		e.appeared(s, now)
	}
	more = len(found) > 0
	e.suspect = found
	return more
}

// confirmed reports a difference that the last listing showed too; one that is
// new is kept for the next.
func (e *Engine) confirmed(found map[suspicion]bool, s suspicion, begun time.Time) bool {
	if t, ok := e.touched.get(s.at); ok && !t.Before(begun) {
		return false
	}
	if e.suspect[s] {
		return true
	}
	found[s] = true
	return false
}

func ownerName(s *exposure.Socket) string {
	switch {
	case s.Kernel != nil:
		return "kernel " + s.Kernel.User
	case len(s.Processes) > 0:
		return s.Processes[0].Name
	}
	return ""
}

// rowOf is the row of a listed socket that no other listed socket took.
func (e *Engine) rowOf(s *exposure.Socket, seen map[*row]bool) *row {
	var same *row
	for _, r := range e.rows[s.Endpoint()] {
		if seen[r] || r.closing {
			continue
		}
		if shares(r, s) {
			return r
		}
		if same == nil && sameProgram(&r.sock, s) {
			same = r
		}
	}
	return same
}

// shares reports a kernel socket in common.
func shares(r *row, s *exposure.Socket) bool {
	return slices.ContainsFunc(r.members, func(m member) bool { return m.inode != 0 && slices.Contains(s.Inodes, m.inode) })
}

// refresh takes a listing's word on a row that is open: its owners may be
// known better now, or be others (a socket that was handed on).
func (e *Engine) refresh(r *row, s *exposure.Socket, begun, now time.Time) {
	if !r.touched.IsZero() && !r.touched.Before(begun) {
		return
	}
	before := copySocket(&r.sock)
	cookies := r.members
	fresh := rowOfListing(s, e.o.Limits.Members)
	for i := range fresh.members {
		if j := slices.IndexFunc(cookies, func(m member) bool { return m.inode == fresh.members[i].inode }); j >= 0 {
			fresh.members[i] = cookies[j]
		}
	}
	r.sock, r.members, r.unnamed = fresh.sock, fresh.members, fresh.unnamed
	if len(r.sock.Processes) == 0 && len(before.Processes) > 0 {
		r.sock.Processes, r.sock.Unit, r.sock.Package = before.Processes, before.Unit, before.Package
	}
	e.handedOn(r, before, now)
	r.listed = true
}

// handedOn tells of an owner that became another without the socket closing.
func (e *Engine) handedOn(r *row, before *exposure.Socket, now time.Time) {
	if len(before.Processes) == 0 || len(r.sock.Processes) == 0 {
		if len(r.sock.Processes) > 0 {
			e.judge(r.at, drift.Change{Kind: drift.Opened, Endpoint: r.at, After: copySocket(&r.sock), At: now}, listing, now)
		}
		return
	}
	pids := pidsOf(&r.sock)
	if slices.ContainsFunc(pidsOf(before), func(pid int) bool { return slices.Contains(pids, pid) }) {
		return
	}
	r.told = pids
	kind := drift.OwnerChanged
	if sameProgram(before, &r.sock) {
		if !r.listed {
			return // a daemon that forked after it listened
		}
		kind = drift.Replaced
	}
	r.toldAt = now
	e.tell(drift.Change{Kind: kind, Endpoint: r.at, Before: before, After: copySocket(&r.sock), At: now}, listing)
}

// absent lists the rows that are open for the engine and were not listed.
func (e *Engine) absent(seen map[*row]bool, found map[suspicion]bool, begun time.Time) []*row {
	var out []*row
	for _, rows := range e.rows {
		for _, r := range rows {
			if seen[r] || r.closing || !r.touched.IsZero() && !r.touched.Before(begun) {
				continue
			}
			if e.confirmed(found, suspicion{r.at, false, ownerName(&r.sock)}, begun) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b *row) int { return slices.Compare([]byte(a.at.String()), []byte(b.at.String())) })
	return out
}

// missed are rows whose end no event told.
func (e *Engine) missed(rows []*row, now time.Time) {
	for _, r := range rows {
		r.members, r.unnamed = nil, 0
		e.close(r, now, listing)
	}
}

// appeared is a row whose beginning no event told.
func (e *Engine) appeared(s *exposure.Socket, now time.Time) {
	r := rowOfListing(s, e.o.Limits.Members)
	r.opened, r.toldAt = now, now
	if old := e.cameBack(r.at, s); old != nil {
		e.succeed(old, r, now, listing)
		return
	}
	e.begin(r, now, listing)
}
