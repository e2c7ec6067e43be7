package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// verdictOf is the row's word, most serious first. What it rests on is added
// to Why.
func verdictOf(r *row) exposure.Verdict {
	v, why := weigh(r)
	r.Why = append(r.Why, why)
	return v
}

func weigh(r *row) (exposure.Verdict, string) {
	switch {
	case r.found("hidden-listener"):
		return exposure.Hidden, "it answers and no listener is known"
	case r.tampered():
		return exposure.Review, "its program needs a look"
	case r.exposed():
		return exposure.Exposed, r.wallSays()
	case r.sock != nil && r.Views.Firewall == exposure.Denied && !r.loopbackOnly():
		return r.walledOff()
	case r.found("unused-listener"):
		return exposure.Unneeded, "nobody used it in the time watched"
	case r.worst() >= exposure.Low.Rank():
		return exposure.Review, "it has findings"
	case r.Views.Host == Unknown:
		return exposure.Review, "it was seen serving; who listens there is not among the evidence"
	case r.sock == nil:
		return r.withoutListener()
	case r.expected:
		return exposure.Expected, "the policy expects it"
	case r.loopbackOnly():
		return exposure.Expected, "only this host itself can address it"
	case r.Kernel != nil:
		return exposure.Expected, "the kernel holds it for " + r.Kernel.User
	case r.advice != nil && r.runsSo():
		return exposure.Expected, "a known service, run by its own program, with nothing against it"
	case r.advice != nil && r.spokeSo():
		return exposure.Expected, "it speaks what belongs on its port, with nothing against it"
	}
	return exposure.Review, "nothing speaks against it, but no policy or knowledge expects it either"
}

// walledOff: the rule set denies strangers; an outside view that says
// otherwise wins.
func (r *row) walledOff() (exposure.Verdict, string) {
	if r.outsideOpen() {
		return exposure.Review, "the rule set denies strangers, yet a scan from outside found it open"
	}
	return exposure.Blocked, r.wallSays()
}

func (r *row) withoutListener() (exposure.Verdict, string) {
	return exposure.Review, fmt.Sprintf("a rule sends it to %s, which did not answer as open (%s)", orElse(r.SentTo, "nowhere known"), r.Views.Network)
}

func (r *row) found(rule string) bool {
	return slices.ContainsFunc(r.findings, func(f exposure.Finding) bool { return f.Rule == rule })
}

// tampered: findings about the program itself outweigh where it listens.
func (r *row) tampered() bool {
	return slices.ContainsFunc(r.findings, func(f exposure.Finding) bool {
		return (f.Rule == "deleted-binary" || f.Rule == "world-writable-binary") && f.Severity.Rank() >= exposure.Medium.Rank()
	})
}

func (r *row) exposed() bool {
	if r.closedOutside() || r.Views.Firewall == exposure.UnknownPermit && !r.outsideOpen() {
		return false // they do not reach it, or whether they do is not known
	}
	return slices.ContainsFunc(r.findings, func(f exposure.Finding) bool {
		switch f.Rule {
		case "exposed-datastore", "exposed-admin-service", "cleartext-service":
			return f.Severity.Rank() > exposure.Info.Rank()
		}
		return false
	})
}

func (r *row) worst() int {
	worst := exposure.Info.Rank()
	for _, f := range r.findings {
		worst = max(worst, f.Severity.Rank())
	}
	return worst
}

// confirmed: the holder's name, or what spoke, agrees with the advice.
func (r *row) confirmed() bool {
	return r.spokeSo() || r.runsSo()
}

// productKinds are kinds of which there are many products on one protocol:
// a web page on their port does not say that it is theirs.
var productKinds = []knowledge.Kind{knowledge.Admin, knowledge.Datastore, knowledge.Queue, knowledge.Orchestration,
	knowledge.RemoteLogin, knowledge.Industrial, knowledge.Development, knowledge.Monitoring}

// spokeSo: what spoke is this service, not only a protocol that carries many.
func (r *row) spokeSo() bool {
	g := r.greeting
	if g == nil || g.Name == "" {
		return false
	}
	speaks := speaksIt(r.advice.Speaks, g)
	if g.Name == r.advice.ID || speaks && !carrier(g.Name) {
		return true
	}
	product := strings.ToLower(g.Product)
	return speaks && (product != "" && strings.HasPrefix(product, stem(r.advice.ID)) || !r.kind(productKinds...))
}

// runsSo: the holder is a program that serves this.
func (r *row) runsSo() bool {
	return slices.ContainsFunc(holderNames(r.Processes), func(n string) bool { return slices.Contains(r.advice.Processes, n) })
}

// summarize counts, and notes what a reader must know.
func summarize(in *Input, rep *Report, rows []*row) Summary {
	s := Summary{Endpoints: len(rows), Addresses: len(in.Addrs),
		Verdicts: map[exposure.Verdict]int{}, Findings: map[exposure.Severity]int{},
		ShortLived: in.shortLived(), Notes: notNil(slices.Clone(in.Notes)), Vantages: in.vantageNames(), Reach: in.reachAt(),
		Traffic: in.watch(), Evidence: in.Evidence,
	}
	for _, r := range rows {
		if r.reachable() {
			s.Reachable++
		}
	}
	for i := range rep.Endpoints {
		s.Verdicts[rep.Endpoints[i].Verdict]++
	}
	for _, f := range rep.Findings {
		s.Findings[f.Severity]++
	}
	s.Attention = attention(rep.Findings)
	for i := range in.Vantages {
		s.Notes = append(s.Notes, everythingAnswers(&in.Vantages[i])...)
	}
	if in.Scan != nil {
		s.Seconds = in.Scan.Stats.Seconds
		s.Asked = askedTCP(in.Scan)
		s.Notes = append(s.Notes, everythingAnswers(in.Scan)...)
	}
	if in.Traffic != nil {
		s.Notes = append(s.Notes, trafficNotes(in.Traffic)...)
	}
	if len(s.Vantages) == 0 && len(in.Evidence) == 0 {
		s.Notes = append(s.Notes, "no outside view: a self-scan does not pass the hooks that a stranger's packets meet")
	}
	return s
}

// attention counts the ports that have a finding of low or above, whatever the
// number of addresses.
func attention(fs []exposure.Finding) int {
	at := map[string]bool{}
	for _, f := range fs {
		if f.Severity.Rank() >= exposure.Low.Rank() {
			proto, rest, _ := strings.Cut(f.Endpoint, "/")
			at[proto+rest[strings.LastIndexByte(rest, ':')+1:]] = true
		}
	}
	return len(at)
}

func askedTCP(sc *exposure.Scan) int {
	most := 0
	for _, h := range sc.Hosts {
		most = max(most, h.Asked[exposure.TCP])
	}
	return most
}

func everythingAnswers(sc *exposure.Scan) []string {
	var out []string
	for _, h := range sc.Hosts {
		if h.EverythingAnswers {
			out = append(out, "every port of "+h.Addr.String()+" answers, so single answers there mean nothing")
		}
	}
	return out
}

// reachAt is the address that reaches farthest, IPv4 first.
func (in *Input) reachAt() string {
	best, rank := "", -1
	for _, a := range in.Addrs {
		n := map[exposure.Scope]int{exposure.ScopePrivate: 2, exposure.ScopePublic: 4}[exposure.ScopeOf(a.IP)]
		if n > 0 && a.IP.Is4() {
			n++
		}
		if n > 0 && n > rank {
			best, rank = a.IP.String(), n
		}
	}
	return best
}

// vantageNames are the outside views that hold this host.
func (in *Input) vantageNames() []string {
	out := []string{}
	for i := range in.Vantages {
		v := &in.Vantages[i]
		if slices.ContainsFunc(v.Hosts, func(h exposure.HostScan) bool { return in.isOwn(h.Addr) && !h.Addr.IsLoopback() }) {
			out = append(out, v.Vantage)
		}
	}
	return out
}

// shortLived names what opened or closed while the audit ran.
func (in *Input) shortLived() []string {
	out := []string{}
	note := func(proto exposure.Proto, addr exposure.Address, port uint16) {
		name := exposure.Endpoint{Proto: proto, Addr: addr, Port: port}.String()
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	one := func(a, b []exposure.Socket) {
		for i := range a {
			if s := &a[i]; s.NetNS.ID == in.Self.ID && s.IsListener() && listenerAt(b, in.Self.ID, s.Proto, s.Addr.IP, s.Port) == nil {
				note(s.Proto, s.Addr, s.Port)
			}
		}
	}
	one(in.Before.Sockets, in.After.Sockets)
	one(in.After.Sockets, in.Before.Sockets)
	for _, ep := range Suspects(in) {
		if st, ok := in.recheckOf(ep); ok && st.State != exposure.Open {
			note(ep.Proto, ep.Addr, ep.Port)
		}
	}
	slices.Sort(out)
	return out
}
