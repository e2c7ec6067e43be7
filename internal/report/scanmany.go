package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of a page about many hosts.
const (
	maxCommon    = 20 // ports in the table at the top
	maxHostPorts = 32 // open ports named of one host
)

// endpointKind is a port on any host.
type endpointKind struct {
	port  uint16
	proto exposure.Proto
}

// spokenText is a service as a crowd shows it.
type spokenText struct{ name, product, version string }

// portTally counts one port over all hosts.
type portTally struct {
	kind  endpointKind
	hosts int
	said  map[spokenText]int
}

// crowd shows many hosts: which ports are open on how many, then one line for
// each host, neighbours with the same ports together.
func (p *scanPage) crowd() {
	p.commonPorts()
	p.line("")
	for i := 0; i < len(p.open); {
		n := 1
		for i+n < len(p.open) && neighbours(p.open[i+n-1], p.open[i+n]) && sameOpenings(p.open[i], p.open[i+n]) {
			n++
		}
		title := runTitle(p.open[i : i+n])
		if n > 1 {
			title += fmt.Sprintf(" (%s hosts)", thousands(n))
		}
		p.text(title+": "+p.openings(p.open[i]), 4)
		i += n
	}
	p.line("")
	p.line(p.st.paint(dim, "A table for each host: -v"))
}

// sameOpenings compares two hosts without making their text.
func sameOpenings(a, b *exposure.HostScan) bool {
	if a.EverythingAnswers || b.EverythingAnswers {
		return a.EverythingAnswers == b.EverythingAnswers
	}
	if a.States[exposure.Open] != b.States[exposure.Open] {
		return false
	}
	i, j := nextOpen(a.Ports, 0), nextOpen(b.Ports, 0)
	for i < len(a.Ports) && j < len(b.Ports) {
		x, y := &a.Ports[i], &b.Ports[j]
		if x.Port != y.Port || x.Proto != y.Proto || serviceOf(x) != serviceOf(y) || spoke(x.Service) != spoke(y.Service) {
			return false
		}
		i, j = nextOpen(a.Ports, i+1), nextOpen(b.Ports, j+1)
	}
	return i == len(a.Ports) && j == len(b.Ports)
}

func nextOpen(ports []exposure.PortState, from int) int {
	for from < len(ports) && ports[from].State != exposure.Open {
		from++
	}
	return from
}

func serviceOf(s *exposure.PortState) string {
	if s.Service == nil {
		return ""
	}
	return s.Service.Name
}

// openings names the open ports of a host.
func (p *scanPage) openings(h *exposure.HostScan) string {
	if h.EverythingAnswers {
		return "everything answers"
	}
	var out []string
	n := h.States[exposure.Open]
	for s := range openPorts(h) {
		if len(out) == maxHostPorts {
			n++
			continue
		}
		text := Escape(portText(s.Port, s.Proto))
		if name := p.serviceName(s.Service); name != "-" {
			text += " " + name
		}
		out = append(out, text)
	}
	if n > 0 {
		out = append(out, fmt.Sprintf("+%s", thousands(n)))
	}
	return strings.Join(out, ", ")
}

// commonPorts is the table of ports by how many hosts have them open.
func (p *scanPage) commonPorts() {
	tally := p.tally()
	if len(tally) == 0 {
		return
	}
	shown := common(tally)
	var rows [][]string
	for _, t := range shown {
		name, product := t.commonest()
		rows = append(rows, []string{Escape(portText(t.kind.port, t.kind.proto)), thousands(t.hosts), name, product})
	}
	p.line("")
	cols := []column{{head: "PORT"}, {head: "HOSTS"}, {head: "SERVICE", min: 8}, {head: "PRODUCT", min: minProduct}}
	_ = writeTable(p.w, p.st, cols, rows) // the writer keeps its error for Flush
	if n := len(tally) - len(shown); n > 0 {
		p.line("and " + several(n, "port more", "ports more") + " on fewer hosts")
	}
}

// common cuts the table: ports of one host alone stand in that host's line.
func common(tally []*portTally) []*portTally {
	n := min(maxCommon, len(tally))
	for n > 1 && tally[n-1].hosts == 1 {
		n--
	}
	return tally[:n]
}

// tally counts ports over the hosts, the commonest first.
func (p *scanPage) tally() []*portTally {
	index := map[endpointKind]*portTally{}
	var out []*portTally
	for _, h := range p.open {
		if h.EverythingAnswers {
			continue
		}
		for s := range openPorts(h) {
			kind := endpointKind{s.Port, s.Proto}
			t := index[kind]
			if t == nil {
				t = &portTally{kind: kind, said: map[spokenText]int{}}
				index[kind] = t
				out = append(out, t)
			}
			t.hosts++
			if s.Service != nil {
				t.said[spokenText{s.Service.Name, s.Service.Product, s.Service.Version}]++
			}
		}
	}
	slices.SortFunc(out, func(a, b *portTally) int {
		return cmp.Or(cmp.Compare(b.hosts, a.hosts), cmp.Compare(a.kind.port, b.kind.port), cmp.Compare(a.kind.proto, b.kind.proto))
	})
	return out
}

// commonest gives the service and product that most hosts told, and how many
// told something else.
func (t *portTally) commonest() (name, product string) {
	var best spokenText
	for s, n := range t.said {
		if c := cmp.Compare(n, t.said[best]); c > 0 || c == 0 && compareSpoken(s, best) < 0 {
			best = s
		}
	}
	product = Escape(strings.TrimSpace(best.product + " " + best.version))
	if n := t.said[best]; n < t.hosts && n > 0 {
		product = strings.TrimSpace(fmt.Sprintf("%s (%s; other or unknown: %s)", product, thousands(n), thousands(t.hosts-n)))
	}
	return dash(Escape(best.name)), dash(product)
}

func compareSpoken(a, b spokenText) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.product, b.product), cmp.Compare(a.version, b.version))
}
