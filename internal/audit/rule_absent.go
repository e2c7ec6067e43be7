package audit

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

//go:embed data/packet-sockets.txt
var ordinaryText string

// ordinaryHolders are programs that hold packet or raw sockets in the course
// of their work.
func ordinaryHolders() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(ordinaryText) {
		name, why, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && !strings.HasPrefix(name, "#") {
			out[name] = why
		}
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }

// ruleAbsent judges a row that answers though nothing listens.
func ruleAbsent(in *Input, r *row) {
	if r.serves() {
		return
	}
	pub := in.publishes(r.Proto, r.Addr.IP, r.Port)
	if pub != nil && !pub.Local && in.answersHere(r) {
		pub = nil // our own packets do not meet that rule, so it explains nothing
	}
	switch {
	case r.Views.Network != string(exposure.Open):
		if pub != nil {
			deadPublication(r, pub)
		}
	case pub != nil:
		r.raise(noListener(r, pub))
	case in.inOtherNamespace(r) != nil:
		r.raise(otherNamespace(r, in.inOtherNamespace(r)))
	default:
		r.raise(hiddenListener(in, r))
	}
}

// answersHere reports a suspect that answered every re-check.
func (in *Input) answersHere(r *row) bool {
	st, ok := in.recheckOf(exposure.Endpoint{Proto: r.Proto, Addr: r.Addr, Port: r.Port})
	return ok && st.State == exposure.Open
}

func noListener(r *row, pub *exposure.PublishedPort) exposure.Finding {
	f := exposure.Finding{Rule: "no-listener", Severity: exposure.Low,
		Title:   fmt.Sprintf("answers without a listener: the firewall sends it to %s", r.SentTo),
		Because: []string{"no listener in two snapshots, yet it answers", "rule: " + pub.Rule, r.wallSays()},
		SafeBecause: []string{
			"this is how published container ports and port forwards work"},
	}
	if t := rangeText(pub); t != "" {
		f.Because = append(f.Because, t)
	}
	if r.target != nil {
		f.Because = append(f.Because, "behind it listens "+ownerText(r.target.Processes)+inNamespace(r.target.NetNS))
	}
	if !pub.Local && !r.outside {
		f.Because = append(f.Because, "this host's own packets do not meet that rule; its target "+r.SentTo+" was asked instead and answers")
	}
	f.Fix = []exposure.Fix{{What: "see the rule", Command: showRewrites}}
	if r.Container != nil {
		f.Fix = append(f.Fix, containerFix(r.Container))
	}
	return f
}

// showRewrites lists rewriting rules of nftables and of legacy iptables, which
// neither tool shows for the other.
const showRewrites = "(nft -a list ruleset; iptables-legacy-save; ip6tables-legacy-save) 2>/dev/null | grep -i -e dnat -e redirect"

func inNamespace(ns exposure.NetNS) string {
	if ns.Name != "" {
		return " in network namespace " + ns.Name
	}
	return " in network namespace " + ns.ID
}

// deadPublication: a rule sends strangers to something that does not answer.
func deadPublication(r *row, pub *exposure.PublishedPort) {
	if r.Views.Network != string(exposure.Closed) {
		return
	}
	r.raise(exposure.Finding{Rule: "stale-permit", Severity: exposure.Low,
		Title:       fmt.Sprintf("published by a rule, but nothing answers at %s", r.SentTo),
		Because:     []string{"rule: " + pub.Rule, "no listener here, and " + r.SentTo + " refused a connection"},
		SafeBecause: []string{"nothing is served while nothing answers"},
		Fix:         []exposure.Fix{{What: "find the rule and remove it if it is not needed", Command: showRewrites}},
	})
}

// inOtherNamespace finds a listener on just this address in another network
// namespace: two namespaces may share an address by routing or tunnelling.
func (in *Input) inOtherNamespace(r *row) *exposure.Socket {
	if r.Addr.IP.IsLoopback() {
		return nil
	}
	for i := range in.After.Sockets {
		s := &in.After.Sockets[i]
		if s.NetNS.ID != in.Self.ID && s.Addr.IP == r.Addr.IP && covers(s, r.Proto, r.Addr.IP, r.Port) {
			return s
		}
	}
	return nil
}

func otherNamespace(r *row, s *exposure.Socket) exposure.Finding {
	return exposure.Finding{Rule: "no-listener", Severity: exposure.Low,
		Title:       "answers from another network namespace",
		Because:     []string{"no listener in this namespace", ownerText(s.Processes) + " listens on the same address" + inNamespace(s.NetNS)},
		SafeBecause: []string{"the process is visible and named"},
		Fix:         []exposure.Fix{{What: "look at that namespace", Command: "portreeve host --netns " + namespaceArg(s.NetNS)}},
	}
}

func namespaceArg(ns exposure.NetNS) string {
	if ns.Name != "" {
		return ns.Name
	}
	return ns.ID
}

// hiddenListener: it answers, nothing listens, and no ordinary cause is known.
func hiddenListener(in *Input, r *row) exposure.Finding {
	f := exposure.Finding{Rule: "hidden-listener", Severity: exposure.High,
		Title: "no listener in any snapshot, yet it answers",
		Fix:   []exposure.Fix{},
	}
	here := in.answersHere(r)
	if here {
		f.Because = append(f.Because, "it answered the scan and every re-check; the listeners watched meanwhile never held it")
	}
	if r.outside {
		f.Because = append(f.Because, "a scan from outside found it open; no listener was there before, during or after this audit")
	}
	if !here {
		f.SafeBecause = append(f.SafeBecause, outsideDoubts()...)
	}
	suspects := in.packetSuspects()
	for _, group := range byHolder(suspects) {
		f.Because = append(f.Because, "a packet socket can answer without a listener: "+groupText(group))
	}
	if len(suspects) == 0 {
		f.Because = append(f.Because, noCause(in))
		f.Severity = severityWithoutCause(here)
	}
	f.Fix = append(f.Fix, hiddenFixes(suspects)...)
	return f
}

// byHolder groups packet and raw sockets that the same processes hold.
func byHolder(socks []*exposure.Socket) [][]*exposure.Socket {
	index := map[string]int{}
	var out [][]*exposure.Socket
	for _, s := range socks {
		key := ownerText(s.Processes)
		i, ok := index[key]
		if !ok || key == "" {
			i = len(out)
			index[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], s)
	}
	return out
}

// severityWithoutCause: an outside scan may be old; inside and outside both
// now is as serious as it gets.
func severityWithoutCause(here bool) exposure.Severity {
	if here {
		return exposure.High
	}
	return exposure.Medium
}

func outsideDoubts() []string {
	return []string{
		"the outside scan may be older than this audit: a service that was stopped since would look the same",
		"a load balancer or gateway in between may answer for this host",
	}
}

func noCause(in *Input) string {
	if len(in.After.Gaps) > 0 {
		return "no cause found, and not all of the host could be seen (" + in.After.Gaps[0].Why + ")"
	}
	return "no DNAT or redirect rule, no other namespace and no packet socket explains it: a tampered kernel, a kernel module or an eBPF program may answer"
}

// packetSuspects are packet and raw sockets of this namespace that could
// answer in a listener's place, the least ordinary first.
func (in *Input) packetSuspects() []*exposure.Socket {
	var odd, plain []*exposure.Socket
	names := ordinaryHolders()
	for i := range in.After.Sockets {
		s := &in.After.Sockets[i]
		switch {
		case s.NetNS.ID != in.Self.ID || s.State != exposure.Packet && s.State != exposure.Raw:
		case ordinaryReason(names, s) != "":
			plain = append(plain, s)
		default:
			odd = append(odd, s)
		}
	}
	if len(odd) > 0 {
		return odd
	}
	return plain
}

// ordinaryReason says why every holder of a packet socket is ordinary; ""
// when one is not. A name alone is no proof: the executable must be there and
// come from a package.
func ordinaryReason(names map[string]string, s *exposure.Socket) string {
	why := ""
	for _, p := range s.Processes {
		w := names[baseName(p.Exe)]
		if w == "" || p.Deleted || p.Unpackaged || p.Writable {
			return ""
		}
		why = w
	}
	return why
}

// groupText names the holders of packet and raw sockets, and each socket.
func groupText(group []*exposure.Socket) string {
	who := "no process is known to hold it"
	var parts, sockets []string
	for _, p := range group[0].Processes {
		parts = append(parts, processText(p))
	}
	if len(parts) > 0 {
		who = strings.Join(parts, "; ")
	} else if why := group[0].OwnerUnknown; why != "" {
		who += " (" + why + ")"
	}
	for _, s := range group {
		if t := socketWords(s); !slices.Contains(sockets, t) {
			sockets = append(sockets, t)
		}
	}
	return who + ": " + strings.Join(sockets, ", ")
}

func socketWords(s *exposure.Socket) string {
	if s.Device != "" {
		return fmt.Sprintf("%s socket on %s", s.State, s.Device)
	}
	return fmt.Sprintf("%s socket on every interface", s.State)
}

// maxCommand bounds how much of a command line a sentence quotes.
const maxCommand = 100

func processText(p exposure.Process) string {
	exe := p.Exe
	if p.Deleted {
		exe += " (deleted)"
	}
	out := strings.TrimSpace(fmt.Sprintf("%s[%d] %s", p.Name, p.PID, exe)) + ", user " + orElse(p.User, fmt.Sprint(p.UID))
	if cmd := strings.TrimSpace(p.Cmdline); cmd != "" && cmd != p.Exe {
		out += ", run as `" + cmd[:min(len(cmd), maxCommand)] + "`"
	}
	return out
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// hiddenFixes keep the evidence before anything is ended.
func hiddenFixes(suspects []*exposure.Socket) []exposure.Fix {
	var out []exposure.Fix
	seen := map[int]bool{}
	for _, s := range suspects {
		for _, p := range s.Processes {
			if seen[p.PID] || len(seen) == 2 {
				continue
			}
			seen[p.PID] = true
			pid := itoa(p.PID)
			out = append(out,
				exposure.Fix{What: "keep the evidence first", Command: "cp /proc/" + pid + "/exe /root/evidence-" + pid},
				exposure.Fix{What: "then end it", Command: "kill " + pid})
		}
	}
	return out // no firewall rule: packet sockets see packets before it does
}

// rulePacketSocket raises packet and raw sockets that no ordinary program
// holds: implants listen there and open no port. One program gives one
// finding.
func rulePacketSocket(in *Input) []exposure.Finding {
	names := ordinaryHolders()
	var held []*exposure.Socket
	for i := range in.After.Sockets {
		s := &in.After.Sockets[i]
		if s.NetNS.ID == in.Self.ID && (s.State == exposure.Packet || s.State == exposure.Raw) {
			held = append(held, s)
		}
	}
	var out []exposure.Finding
	for _, group := range byHolder(held) {
		out = append(out, packetFinding(group, ordinaryReason(names, group[0])))
	}
	return out
}

func packetFinding(group []*exposure.Socket, ordinary string) exposure.Finding {
	f := exposure.Finding{Rule: "packet-socket", Severity: exposure.Medium, Endpoint: packetEndpoint(group[0]),
		Title:   "sees traffic below the firewall and opens no port",
		Because: []string{groupText(group)},
	}
	for _, s := range group {
		if s.Filter != "" {
			f.Because = append(f.Because, fmt.Sprintf("filter of the %s: %s", socketWords(s), firstLines(s.Filter, 6)))
		}
	}
	if len(group[0].Processes) == 0 {
		f.Severity = exposure.Low
	}
	if ordinary != "" {
		f.Severity = exposure.Info
		f.SafeBecause = []string{ordinary, "its executable is where its package put it"}
	}
	for _, p := range group[0].Processes {
		f.Fix = append(f.Fix, exposure.Fix{What: "see what it is", Command: "ls -l /proc/" + itoa(p.PID) + "/exe /proc/" + itoa(p.PID) + "/fd"})
	}
	return f
}

func firstLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = append(slices.Clone(lines[:n]), fmt.Sprintf("… %d more", len(lines)-n))
	}
	return strings.Join(lines, "; ")
}

func packetEndpoint(s *exposure.Socket) string {
	a := s.Addr
	if a.IsZero() {
		a = exposure.Address{Text: orElse(s.Device, "*")}
	}
	return exposure.Endpoint{Proto: s.Proto, Addr: a, Port: s.Port}.String()
}
