package serverconf

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// place is one spot of a configuration that makes the server listen: an
// address in a list, a listen statement, or the spot where one that is absent
// (its default holds) would stand.
type place struct {
	f        *file
	from, to int    // what is replaced; from == to for an insertion
	text     string // the directive, for reasons

	// binds is everything that this place makes the server listen on. One
	// socket for both families is both unspecified addresses.
	binds []netip.AddrPort
	proto exposure.Proto // "" for every transport

	// form writes the directive (or the word of a list) for one address;
	// several are joined, with before and after around them all.
	form                func(netip.AddrPort) string
	join, before, after string
	// dropFrom and dropTo go where nothing is left to say.
	dropFrom, dropTo int
	// portless: the place names addresses only, its binds' ports come from
	// elsewhere and move together.
	portless bool
	// single: the place can name one address only. whole: what it stood for
	// besides the socket goes too. only: the addresses that it can name.
	single, whole bool
	only          func(netip.Addr) bool
	// scope tells lists apart (server blocks); the same address twice in one
	// scope is an error to the server. rest is what else the directive says.
	scope int
	rest  string
}

func (p *place) where() string {
	return p.f.path + ":" + strconv.Itoa(p.f.lineOf(p.from)) + " (" + p.text + ")"
}

func anyAddrs() []netip.Addr { return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} }

func at(port uint16, addrs ...netip.Addr) (out []netip.AddrPort) {
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, port))
	}
	return out
}

// atPorts gives every address at every port.
func atPorts(ports []uint16, addrs []netip.Addr) (out []netip.AddrPort) {
	for _, p := range ports {
		out = append(out, at(p, addrs...)...)
	}
	return out
}

func onlyAddrs(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

// target is what a socket's addresses become.
type target struct {
	old map[netip.Addr]bool // addresses that the socket binds
	to  []netip.Addr        // of its families
	all []netip.Addr
	s   *exposure.Socket
}

func newTarget(s *exposure.Socket, to []netip.Addr) target {
	ip := s.Addr.IP.Unmap().WithZone("")
	t := target{old: map[netip.Addr]bool{ip: true}, all: to, s: s}
	if s.DualStack && ip == netip.IPv6Unspecified() {
		t.old[netip.IPv4Unspecified()] = true
		t.to = slices.Clone(to)
		return t
	}
	for _, a := range to {
		if a.Is4() == ip.Is4() {
			t.to = append(t.to, a)
		}
	}
	return t
}

// of filters the target to the families that a place had.
func (t *target) of(hits []netip.AddrPort) (out []netip.Addr) {
	for _, a := range t.to {
		same := func(h netip.AddrPort) bool { return h.Addr().Is4() == a.Is4() }
		if slices.ContainsFunc(hits, same) {
			out = append(out, a)
		}
	}
	return out
}

// allOf is the target for a place that goes as a whole: addresses of all its
// families.
func (t *target) allOf(p *place) (out []netip.Addr) {
	for _, a := range t.all {
		if slices.ContainsFunc(p.binds, func(b netip.AddrPort) bool { return b.Addr().Is4() == a.Is4() }) {
			out = append(out, a)
		}
	}
	return out
}

// hits are the binds of a place that are the socket.
func (t *target) hits(p *place) (out []netip.AddrPort) {
	if p.proto != "" && p.proto != t.s.Proto {
		return nil
	}
	for _, b := range p.binds {
		if b.Port() == t.s.Port && t.old[b.Addr().WithZone("")] {
			out = append(out, b)
		}
	}
	return out
}

// mine reports places that listen at the socket's port at all.
func (t *target) mine(p *place) bool {
	return (p.proto == "" || p.proto == t.s.Proto) &&
		slices.ContainsFunc(p.binds, func(b netip.AddrPort) bool { return b.Port() == t.s.Port })
}

// isDone reports that the places, none of which binds the socket's address,
// bind one of the target's at its port and no wildcard that would take the
// socket's address in.
func (t *target) isDone(places []place) bool {
	some := false
	for i := range places {
		if !t.mine(&places[i]) {
			continue
		}
		for _, b := range places[i].binds {
			if b.Port() != t.s.Port {
				continue
			}
			if b.Addr().IsUnspecified() && t.sameFamily(b.Addr()) {
				return false
			}
			some = some || slices.Contains(t.all, b.Addr())
		}
	}
	return some
}

func (t *target) sameFamily(a netip.Addr) bool {
	for o := range t.old {
		if o.Is4() == a.Is4() {
			return true
		}
	}
	return false
}

// narrow plans the replacements. Notes tell what moves along.
func (v *view) narrow(places []place, to []netip.Addr) (out []splice, notes []string, err error) {
	t := newTarget(v.s, to)
	if len(t.to) == 0 {
		return nil, nil, v.decline("none of the addresses to bind is of the socket's family")
	}
	if conflict := v.covers(places, &t); conflict != nil {
		return nil, nil, conflict
	}
	for i := range places {
		p := &places[i]
		hits := t.hits(p)
		if len(hits) == 0 {
			continue
		}
		s, note, err := v.replace(p, hits, &t, places)
		if err != nil {
			return nil, nil, err
		}
		out, notes = append(out, s), append(notes, note...)
	}
	if len(out) > 0 {
		return out, notes, nil
	}
	if t.isDone(places) {
		return nil, nil, ErrAlready
	}
	return nil, nil, v.decline("%s", v.unexplained(places, &t))
}

// covers refuses where the address is bound, but not as the socket is: the
// running server and its files differ.
func (v *view) covers(places []place, t *target) error {
	for i := range places {
		if p := &places[i]; p.form == nil && len(t.hits(p)) > 0 {
			return v.decline("%s makes it listen, and is nothing that can be changed here", p.where())
		}
	}
	return nil
}

func (v *view) unexplained(places []place, t *target) string {
	var says []string
	for i := range places {
		if t.mine(&places[i]) {
			says = append(says, places[i].where())
		}
	}
	if len(says) == 0 {
		return "nothing there makes it listen at port " + strconv.Itoa(int(v.s.Port))
	}
	return "what is there, " + strings.Join(says, ", ") + ", does not make it listen on " + v.s.Addr.String()
}

// replace plans one place.
func (v *view) replace(p *place, hits []netip.AddrPort, t *target, all []place) (splice, []string, error) {
	want := slices.DeleteFunc(t.of(hits), func(a netip.Addr) bool { return boundElsewhere(all, p, netip.AddrPortFrom(a, v.s.Port)) })
	if p.whole {
		want = t.allOf(p)
	}
	keep, notes := p.others(hits)
	if !v.hasIPv6() {
		keep = slices.DeleteFunc(keep, func(b netip.AddrPort) bool { return b.Addr() == netip.IPv6Unspecified() })
	}
	if len(t.of(hits)) == 0 {
		return splice{}, nil, v.decline("none of the addresses to bind is of the family of %s", p.where())
	}
	if clash := p.clash(all, t.of(hits), v.s.Port); clash != "" {
		return splice{}, nil, v.decline("%s listens there already, and says other things than %s", clash, p.where())
	}
	if keep, notes = p.giveUp(keep, notes); p.only != nil {
		want = slices.DeleteFunc(want, func(a netip.Addr) bool { return !p.only(a) })
		if len(want) == 0 {
			return splice{}, nil, v.decline("%s cannot name any of the addresses to bind", p.where())
		}
	}
	binds := slices.Concat(at(v.s.Port, want...), keep)
	if p.single && len(binds) > 1 {
		if len(keep) > 0 {
			return splice{}, nil, v.decline("%s can name one address only, and also serves %s", p.where(), keep[0].Addr())
		}
		notes = append(notes, "it can be told one address only: "+binds[1].Addr().String()+" is not served")
		binds = binds[:1]
	}
	if len(binds) == 0 {
		return splice{p.f, p.dropFrom, p.dropTo, ""}, notes, nil
	}
	return splice{p.f, p.from, p.to, p.write(binds)}, notes, nil
}

// others are the binds that stay, and notes on those that cannot.
func (p *place) others(hits []netip.AddrPort) (keep []netip.AddrPort, notes []string) {
	gone := func(b netip.AddrPort) bool {
		return slices.ContainsFunc(hits, func(h netip.AddrPort) bool {
			return h == b || p.portless && h.Addr() == b.Addr()
		})
	}
	moved := map[string]bool{}
	for _, b := range p.binds {
		switch {
		case !gone(b):
			keep = append(keep, b)
		case b.Port() != hits[0].Port():
			moved[strconv.Itoa(int(b.Port()))] = true
		}
	}
	if len(moved) > 0 {
		notes = append(notes, "its port "+strings.Join(sortedKeys(moved), ", ")+" moves along: one setting holds for both")
	}
	return keep, notes
}

// giveUp leaves out what a whole place cannot keep, and notes it.
func (p *place) giveUp(keep []netip.AddrPort, notes []string) ([]netip.AddrPort, []string) {
	if !p.whole || len(keep) == 0 {
		return keep, notes
	}
	return nil, append(notes, portText(keep[0])+" closes too: one setting holds for both")
}

// write composes the new text of a place.
func (p *place) write(binds []netip.AddrPort) string {
	var parts []string
	for _, b := range binds {
		if text := p.form(b); !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return p.before + strings.Join(parts, p.join) + p.after
}

func boundElsewhere(all []place, self *place, b netip.AddrPort) bool {
	for i := range all {
		if p := &all[i]; p.isTwin(self) && slices.Contains(p.binds, b) {
			return true
		}
	}
	return false
}

// isTwin reports another place of the same list.
func (p *place) isTwin(self *place) bool {
	return (p.f != self.f || p.from != self.from) && p.scope == self.scope && p.proto == self.proto
}

// clash finds a directive that binds the target already, with other
// parameters.
func (p *place) clash(all []place, to []netip.Addr, port uint16) string {
	for i := range all {
		q := &all[i]
		for _, a := range to {
			if q.isTwin(p) && q.rest != p.rest && slices.Contains(q.binds, netip.AddrPortFrom(a, port)) {
				return q.where()
			}
		}
	}
	return ""
}

// portText writes addr:port, IPv6 in brackets.
func portText(b netip.AddrPort) string {
	return exposure.HostPort(exposure.IPAddress(b.Addr()), b.Port())
}

// addrText writes the address alone.
func addrText(b netip.AddrPort) string { return b.Addr().String() }

// hostAddrs reads what a configuration may write for a host: an address, in
// brackets or not, or localhost. Other names are not known here.
func hostAddrs(s string) ([]netip.Addr, bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if strings.EqualFold(s, "localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, true
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return nil, false
	}
	return []netip.Addr{ip.WithZone("")}, true
}

func portNumber(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}

// cutPort parts "host:port", "[v6]:port", "host" and "port" (onlyPort). Host
// is empty where there is none.
func cutPort(s string) (host, port string) {
	if strings.HasPrefix(s, "[") {
		i := strings.IndexByte(s, ']')
		if i < 0 {
			return s, ""
		}
		return s[:i+1], strings.TrimPrefix(s[i+1:], ":")
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		if _, ok := portNumber(s); ok {
			return "", s
		}
		return s, ""
	}
	return s[:i], s[i+1:]
}
