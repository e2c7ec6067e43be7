package fwlog

import "bytes"

// readAntrea reads Antrea's audit log of network policies (np.log; "Audit
// logging for Antrea-native policies"). The columns have grown with the
// versions, but the two addresses always stand with their ports, or without,
// before the protocol:
//
//	2024/03/01 10:00:00.123456 AntreaPolicyIngressRule AntreaNetworkPolicy:default/web drop-rule Drop 44900 default/client 192.0.2.1 50000 default/web 198.51.100.2 80 TCP 60 label
//	2024/03/01 10:00:00.123456 AntreaPolicyIngressRule AntreaNetworkPolicy:default/web Drop 44900 192.0.2.1 50000 198.51.100.2 80 TCP 60
//	2021/07/01 10:00:00.123456 AntreaPolicyEgressRule AntreaNetworkPolicy:default/web Drop 44900 SRC: 192.0.2.1 DEST: 198.51.100.2 60 TCP
//
// A packet without ports may have <nil> for them. "[3 packets in 1.01s]" at the
// end says that the line stands for so many.
func readAntrea(p *Parser, l *line, e *Event) bool {
	b, ok := within(l.text, "AntreaPolicy")
	if !ok {
		if b, ok = antreaDefault(l.text); !ok {
			return false
		}
	}
	w := words{rest: b}
	table, policy := w.next(), w.next()
	if !bytes.HasSuffix(table, []byte("Rule")) || policy == nil {
		return false
	}
	e.Rule = policy
	found := false
	for range 3 {
		if e.Action, found = antreaAction(w.next()); found {
			break
		}
	}
	if !found {
		return false
	}
	if when, n := p.stamp(l.text); n > 0 {
		e.Time = when
	}
	return antreaPacket(w.next(), &w, e)
}

// antreaDefault finds the tables of Kubernetes' own policies: IngressRule and
// EgressRule, IngressDefaultRule, EgressDefaultRule.
func antreaDefault(b []byte) ([]byte, bool) {
	for _, mark := range [...]string{"IngressRule ", "EgressRule ", "IngressDefaultRule ", "EgressDefaultRule ", "IngressMetric ", "EgressMetric "} {
		if rest, ok := within(b, mark); ok && bytes.Contains(rest, []byte("K8sNetworkPolicy")) {
			return b[len(b)-len(rest)-len(mark):], true
		}
	}
	return nil, false
}

// antreaAction: what passes is left to Kubernetes' own policies, what is
// redirected to the engine for layer 7.
func antreaAction(b []byte) (a Action, ok bool) {
	switch string(b) {
	case "Allow":
		return Permit, true
	case "Drop", "Reject":
		return Deny, true
	case "Pass", "Redirect":
		return NoAction, true
	}
	return NoAction, false
}

// antreaPacket reads the priority and what follows it.
func antreaPacket(priority []byte, w *words, e *Event) bool {
	if len(priority) == 0 {
		return false
	}
	g := gather{e: e}
	word := w.next()
	if string(word) == "SRC:" {
		return g.antreaOld(w)
	}
	ends := [2]field{fSrc, fDst}
	for i := 0; i < len(ends); {
		if word == nil {
			return false
		}
		if a, ok := parseAddr(word); ok && a.IsValid() {
			g.set(ends[i], word, false)
			word = w.next()
			switch port := [2]field{fSrcPort, fDstPort}[i]; {
			case string(word) == "<nil>":
				word = w.next()
			case word != nil && digit(word[0]) && !isAddr(word):
				g.set(port, word, false)
				word = w.next()
			}
			i++
			continue
		}
		word = w.next()
	}
	g.set(fProto, word, false)
	length, ok := parseUint(w.next()) // the packet's length: the line goes on
	return ok && length > 0 && e.HasProto && e.antreaRest(w) && g.done()
}

func isAddr(b []byte) bool {
	_, ok := parseAddr(b)
	return ok
}

// antreaOld reads SRC: addr DEST: addr length protocol, which has no ports.
func (g *gather) antreaOld(w *words) bool {
	g.set(fSrc, w.next(), false)
	if string(w.next()) != "DEST:" {
		return false
	}
	g.set(fDst, w.next(), false)
	if _, ok := parseUint(w.next()); !ok {
		return false
	}
	g.set(fProto, w.next(), false)
	return !g.bad && g.e.Src.IsValid() && g.e.Dst.IsValid() && g.e.HasProto
}

// antreaRest takes the count of packets that the line stands for.
func (e *Event) antreaRest(w *words) bool {
	_, rest, ok := cut(w.rest, '[')
	if !ok {
		return true
	}
	number, _, ok := cut(rest, ' ')
	n, fine := parseUint(number)
	if ok && fine && n > 1 {
		e.Limited, e.Suppressed = true, n-1
	}
	return true
}
