package flowfile

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// logs reads firewall and cloud flow logs through fwlog.
type logs struct {
	parser  *fwlog.Parser
	pairs   *pairs
	dialect string
	untold  uint64 // events without an action
	ends    uint64
	// others are lines that no dialect knows, the first of them by number: a
	// kernel's log has many, and what has nothing else is no log.
	others  uint64
	firstOf []int
}

func newLogs(s *reader) *logs {
	return &logs{
		parser: fwlog.New(fwlog.Options{Now: s.opt.Now, Zone: s.opt.Zone}),
		pairs:  newPairs(s.opt.Serves),
	}
}

// bothWays are the dialects that write each direction of a connection apart.
var bothWays = map[string]bool{"aws-vpc": true, "gcp-flow": true}

func (l *logs) line(s *reader, b []byte) {
	var e fwlog.Event
	if !l.parser.Read(b, &e) {
		s.limited(&e)
		if l.parser.Known() {
			s.info.Ignored++
			return
		}
		if l.others++; len(l.firstOf) < MaxProblems {
			l.firstOf = append(l.firstOf, s.info.Lines)
		}
		return
	}
	for ok := true; ok; ok = l.parser.More(&e) {
		l.event(s, &e)
	}
}

func (s *reader) limited(e *fwlog.Event) {
	s.info.Limited = s.info.Limited || e.Limited || e.Capped
	s.info.Suppressed += e.Suppressed
}

func (l *logs) event(s *reader, e *fwlog.Event) {
	s.limited(e)
	if l.dialect == "" {
		l.dialect = e.Format
		s.info.Format = e.Format
	}
	switch {
	case e.HasProto && e.Format == "gcp-flow":
		// VPC flow logs are samples of what passed, without a verdict: answers
		// tell, as in nfdump's records.
		w := direction(e)
		w.action = ""
		l.pairs.add(s, w)
	case !e.HasProto || e.Action == fwlog.NoAction:
		l.untold++
		s.info.Ignored++
	case e.Ends:
		l.ends++
		s.info.Ignored++
	case e.Action == fwlog.Permit && bothWays[e.Format]:
		l.pairs.add(s, direction(e))
	default:
		f := eventFlow(e)
		s.give(&f)
	}
}

func eventFlow(e *fwlog.Event) exposure.Flow {
	w := direction(e)
	f := exposure.Flow{
		Proto: w.proto, Client: w.src, ClientPort: w.srcPort, Server: w.dst, ServerPort: w.dstPort,
		PacketsToServer: e.Packets, BytesToServer: e.Bytes, First: w.first, Last: w.last,
		Action: e.Action.String(), OrientedBy: "log", In: w.in, Out: w.out,
	}
	if e.Action == fwlog.Deny {
		f.Answered = exposure.FlowUnanswered
	}
	return f
}

func direction(e *fwlog.Event) oneWay {
	w := oneWay{packets: e.Packets, bytes: e.Bytes, in: string(e.In), out: string(e.Out), action: e.Action.String()}
	w.src, w.dst = e.Src.Unmap(), e.Dst.Unmap()
	w.proto = exposure.ProtoByNumber(e.Proto)
	w.srcPort, w.dstPort = e.SrcPort, e.DstPort
	if e.HasICMP {
		w.srcPort, w.dstPort = uint16(e.ICMPType), uint16(e.ICMPCode)
	}
	// What the dialect turned by its flags, an answer, is a direction of its own
	// where both are told apart.
	if e.Reversed && bothWays[e.Format] {
		w.tuple, w.synAck = w.reversed(), true
	}
	if e.Time != 0 {
		w.first = time.Unix(0, e.Time).UTC()
		w.last = w.first
	}
	return w
}

func (l *logs) end(s *reader) {
	l.pairs.end(s)
	l.foreign(s)
	if l.untold > 0 {
		s.note("%d events do not say whether they were permitted or denied, or of what protocol; they are no evidence", l.untold)
	}
	if s.info.Limited {
		s.note("the log is a sample: it says itself that lines were left out, or its product limits it (ufw)")
	}
}

// foreign tells of the lines that no dialect knows: one note where there were
// events, else a problem for each.
func (l *logs) foreign(s *reader) {
	switch {
	case l.others == 0:
	case l.dialect != "":
		s.info.Ignored += l.others
		s.note("%d lines are no firewall event; they were left out", l.others)
	default:
		s.info.Unread += l.others
		for _, n := range l.firstOf[:min(len(l.firstOf), MaxProblems-len(s.problems))] {
			s.problems = append(s.problems, Problem{n, "no flow and no line of a firewall's log that is known"})
		}
	}
}
