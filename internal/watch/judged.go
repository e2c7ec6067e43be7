package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// stage is how far a finding has come.
type stage int

const (
	pending  stage = iota // holds, and was not told yet
	told                  // was told
	clearing              // was told, and is gone
)

// held is a finding that holds, or did.
type held struct {
	finding exposure.Finding
	change  drift.Change // what brought it
	source  string
	at      exposure.Endpoint // zero: the whole host's
	group   string            // who judges it: rowGroup, hostGroup or a job's name
	stage   stage
	since   time.Time // when this stage began
	began   time.Time // when it began to hold
	due     time.Time // when the next step may be taken
	silent  bool      // below Notify: recorded, never sent
}

// judgement is all that is known of findings.
type judgement struct {
	byID  map[string]*held
	at    map[exposure.Endpoint][]string // IDs by endpoint
	owner map[string]string              // who told a finding of Self first
	dirty bool                           // the whole host is to be judged anew
	asked time.Time                      // when it was last
	full  bool
}

// Groups of findings.
const (
	rowGroup  = "listener"
	hostGroup = "host"
)

// hostPace is how often the host as a whole is judged at most.
const hostPace = time.Second

func (j *judgement) init() {
	j.byID, j.at = map[string]*held{}, map[exposure.Endpoint][]string{}
	j.owner = map[string]string{}
}

// findingID tells apart endpoints of several namespaces.
func findingID(f *exposure.Finding, ep exposure.Endpoint) string {
	return f.ID + "@" + ep.NetNS + "@" + ep.Device
}

// judge asks what the rows of an endpoint mean now. A row that may come back
// counts as open.
func (e *Engine) judge(ep exposure.Endpoint, c drift.Change, source string, at time.Time) {
	if e.o.Judge == nil {
		return
	}
	var now []exposure.Finding
	for _, r := range e.rows[ep] {
		now = append(now, e.o.Judge.Listener(&r.sock, at)...)
	}
	e.meet(now, ep, rowGroup, c, source, at)
}

// meet compares the findings of one endpoint, or of one group that has none,
// with those that held before.
func (e *Engine) meet(now []exposure.Finding, ep exposure.Endpoint, group string, c drift.Change, source string, at time.Time) {
	holds := map[string]bool{}
	for i := range now {
		if e.others(&now[i], ep, group) {
			continue
		}
		id := group + "/" + findingID(&now[i], ep)
		holds[id] = true
		e.holds(id, &now[i], ep, group, c, source, at)
	}
	for _, id := range slices.Clone(e.judged.at[ep]) {
		if h := e.judged.byID[id]; h != nil && h.group == group && !holds[id] {
			e.fails(id, h, c, at)
		}
	}
}

// others: a finding that an audit and the watch itself both have is told by
// whoever had it first.
func (e *Engine) others(f *exposure.Finding, ep exposure.Endpoint, group string) bool {
	owner := e.judged.owner[f.ID]
	return owner != "" && owner != group && e.aboutSelf(ep)
}

func (e *Engine) aboutSelf(ep exposure.Endpoint) bool {
	return ep.NetNS == e.o.Self || ep == exposure.Endpoint{}
}

// holds: a finding is there.
func (e *Engine) holds(id string, f *exposure.Finding, ep exposure.Endpoint, group string, c drift.Change, source string, at time.Time) {
	h := e.judged.byID[id]
	if h == nil {
		e.raise(id, &held{finding: *f, change: c, source: source, at: ep, group: group, since: at, began: at, due: at.Add(e.holdOf(f, group))})
		return
	}
	h.finding = *f
	if h.stage == clearing {
		h.stage, h.since, h.due = told, at, time.Time{}
	}
}

// holdOf: what a whole audit found held for as long as the audit took, and the
// service that is missing may only be slow to come back.
func (e *Engine) holdOf(f *exposure.Finding, group string) time.Duration {
	switch {
	case group != rowGroup && group != hostGroup:
		return 0
	case f.Rule == "missing-expected":
		return max(e.o.Missing, e.o.Hold)
	}
	return e.o.Hold
}

func (e *Engine) raise(id string, h *held) {
	if len(e.judged.byID) >= e.o.Limits.Findings {
		if !e.judged.full {
			e.judged.full = true
			e.lose("more than %d findings at once: those beyond are not judged until others are over", e.o.Limits.Findings)
		}
		return
	}
	h.silent = h.finding.Severity.Rank() < e.o.Notify.Rank()
	e.judged.byID[id] = h
	e.judged.at[h.at] = append(e.judged.at[h.at], id)
	if e.aboutSelf(h.at) {
		e.judged.owner[h.finding.ID] = h.group
	}
}

// fails: a finding is there no more.
func (e *Engine) fails(id string, h *held, c drift.Change, at time.Time) {
	switch h.stage {
	case pending:
		e.forget(id, h)
	case told:
		h.stage, h.since, h.due = clearing, at, at.Add(e.clearOf(h))
		h.change = c
	}
}

func (e *Engine) clearOf(h *held) time.Duration {
	if h.group != rowGroup && h.group != hostGroup {
		return 0
	}
	return e.o.Clear
}

func (e *Engine) forget(id string, h *held) {
	delete(e.judged.byID, id)
	if e.judged.owner[h.finding.ID] == h.group && e.aboutSelf(h.at) {
		delete(e.judged.owner, h.finding.ID)
	}
	e.judged.full = false
	ids := slices.DeleteFunc(e.judged.at[h.at], func(o string) bool { return o == id })
	if len(ids) == 0 {
		delete(e.judged.at, h.at)
		return
	}
	e.judged.at[h.at] = ids
}

// tickFindings takes the steps that are due.
func (e *Engine) tickFindings(now time.Time) {
	e.judgeHost(now)
	for _, id := range e.dueFindings(now) {
		h := e.judged.byID[id]
		if h.stage == clearing {
			e.report(h, now, true)
			e.forget(id, h)
			continue
		}
		if e.maintained(now, subject(h)) != "" {
			h.due = now.Add(maintenancePace)
			continue
		}
		h.stage, h.since, h.due = told, now, time.Time{}
		e.report(h, now, false)
	}
}

// dueAnew: other options have another hold, and a window may be gone.
func (e *Engine) dueAnew() {
	for _, h := range e.judged.byID {
		if h.stage == pending {
			h.due = h.since.Add(e.holdOf(&h.finding, h.group))
		}
	}
}

// maintenancePace is how often it is asked whether a window is over.
const maintenancePace = 10 * time.Second

// subject is the socket that a finding is about, if any.
func subject(h *held) *exposure.Socket {
	if h.change.After != nil {
		return h.change.After
	}
	return h.change.Before
}

func (e *Engine) dueFindings(now time.Time) []string {
	var out []string
	for id, h := range e.judged.byID {
		if h.stage != told && !now.Before(h.due) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (e *Engine) nextFinding() time.Time {
	var next time.Time
	for _, h := range e.judged.byID {
		if h.stage != told {
			next = earlier(next, h.due)
		}
	}
	if e.judged.dirty && e.o.Judge != nil {
		next = earlier(next, e.judged.asked.Add(hostPace))
	}
	return next
}

// judgeHost asks what the host as a whole means, at most once a second.
func (e *Engine) judgeHost(now time.Time) {
	if e.o.Judge == nil || !e.judged.dirty || now.Before(e.judged.asked.Add(hostPace)) {
		return
	}
	e.judged.dirty, e.judged.asked = false, now
	e.meet(e.o.Judge.Host(e.Open(), now), exposure.Endpoint{}, hostGroup, drift.Change{Kind: drift.Closed, At: now}, listing, now)
}

// Rejudge asks anew what everything means: the day or the policy is another.
func (e *Engine) Rejudge(at time.Time) {
	if e.o.Judge == nil {
		return
	}
	for ep, rows := range e.rows {
		e.judge(ep, drift.Change{Kind: drift.Opened, Endpoint: ep, After: copySocket(&rows[0].sock), At: at}, listing, at)
	}
	e.orphans(at)
	e.judged.dirty, e.judged.asked = true, time.Time{}
}

// Found takes all findings of a job (a scheduled audit): they are told at
// once, and those of its last run that are no more are over.
func (e *Engine) Found(job string, now []exposure.Finding, at time.Time) {
	c := drift.Change{Kind: drift.Opened, At: at}
	e.meet(now, exposure.Endpoint{}, job, c, job, at)
}

// report gives a finding to the record and, if it is grave enough, the sinks.
func (e *Engine) report(h *held, at time.Time, over bool) {
	id := noticeID(h, over)
	e.out.Verdicts = append(e.out.Verdicts, Verdict{Finding: h.finding, Since: h.began, At: at, Resolved: over, NoticeID: id, Group: h.group, Place: h.at})
	if h.silent {
		return
	}
	c := h.change
	if c.Endpoint == (exposure.Endpoint{}) {
		c.Endpoint = endpointOf(h.finding.Endpoint)
	}
	f := h.finding
	e.out.Notices = append(e.out.Notices, Notice{ID: id, Change: c, Finding: &f, Resolved: over, Host: e.o.Host,
		Maintenance: e.maintained(at, subject(h))})
}

// endpointOf reads proto/addr:port as findings write it; what is no such text
// gives an endpoint without a port.
func endpointOf(text string) exposure.Endpoint {
	proto, rest, _ := strings.Cut(text, "/")
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return exposure.Endpoint{Proto: exposure.Proto(proto), Addr: exposure.ParseAddress(rest)}
	}
	addr := exposure.ParseAddress(strings.Trim(rest[:i], "[]"))
	return exposure.Endpoint{Proto: exposure.Proto(proto), Addr: addr, Port: portNumber(rest[i+1:])}
}

func portNumber(s string) uint16 {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 65535 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return 0
	}
	return uint16(n)
}

// noticeID is the same for the same finding that began at the same time.
func noticeID(h *held, over bool) string {
	return digest(h.group, h.finding.ID, h.at.NetNS, h.at.Device, h.began.UTC().Format(time.RFC3339Nano), boolText(over))
}

func changeID(t *Told) string {
	return digest(string(t.Kind), t.Endpoint.String(), t.Endpoint.NetNS, t.Endpoint.Device, t.At.UTC().Format(time.RFC3339Nano))
}

func boolText(b bool) string {
	if b {
		return "over"
	}
	return "begun"
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:12])
}
