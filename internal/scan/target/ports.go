package target

import (
	"regexp"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// MaxPortSpec is the length of a port list in bytes.
const MaxPortSpec = 1 << 20

const hintPorts = "write 22,80,1000-2000, 60000-, all, T:22,U:53,161, 53/udp or a service name"

// PortRange is First to Last, both included; 1–65535.
type PortRange struct{ First, Last uint16 }

// PortList is ports as ranges: ascending, disjoint, none touching the next.
type PortList []PortRange

// Len is how many ports the list holds.
func (l PortList) Len() int {
	n := 0
	for _, r := range l {
		n += int(r.Last) - int(r.First) + 1
	}
	return n
}

// List gives the ports one by one, ascending.
func (l PortList) List() []uint16 {
	out := make([]uint16, 0, l.Len())
	for _, r := range l {
		for p := int(r.First); p <= int(r.Last); p++ {
			out = append(out, uint16(p))
		}
	}
	return out
}

// PortRef is one port that a service name stands for.
type PortRef struct {
	Proto exposure.Proto
	Port  uint16
}

// Ports is what ParsePorts read. Said tells that a protocol was chosen for at
// least one port: then TCP and UDP are just what is to be asked. Where it was
// not, both hold the same numbers and the caller chooses.
type Ports struct {
	TCP, UDP PortList
	Said     bool
}

// ParsePorts reads a list of ports: numbers, ranges (1000-2000, -100, 60000-),
// `all` or `-`, service names. T: and U: hold from there to the next of them,
// /tcp and /udp for one item. Where a protocol was said, items without one
// mean TCP; a name of UDP services alone (syslog) says UDP by itself. lookup
// gives the ports of a service name in lower case, none if it is not known.
// Errors are *Error, or ErrNoPort.
func ParsePorts(text string, lookup func(name string) []PortRef) (Ports, error) {
	if strings.TrimSpace(text) == "" {
		return Ports{}, ErrNoPort
	}
	if len(text) > MaxPortSpec {
		return Ports{}, wrong("write ranges", "the list has %d bytes, no list needs more than %d", len(text), MaxPortSpec).place("port", text, "", 0)
	}
	p := portReader{lookup: lookup}
	for item := range strings.SplitSeq(text, ",") {
		if err := p.item(strings.TrimSpace(item)); err != nil {
			return Ports{}, err.place("port", item, "", 0)
		}
	}
	return p.ports(), nil
}

// protoChoice is the protocol that an item is for.
type protoChoice uint8

const (
	unsaid protoChoice = iota
	sayTCP
	sayUDP
)

// portSet marks ports; 0 is never marked.
type portSet [1 << 16]bool

// portReader puts a list together.
type portReader struct {
	lookup   func(name string) []PortRef
	current  protoChoice // set by T: and U:
	tcp, udp portSet
	loose    portSet // UDP, unless a protocol was said
	said     bool
}

var portNumbers = regexp.MustCompile(`^[0-9]*-?[0-9]*$`)

func (p *portReader) item(s string) *Error {
	s, err := p.letter(s)
	if err != nil {
		return err
	}
	choice := p.current
	body, proto, slash := strings.Cut(s, "/")
	if slash {
		switch strings.ToLower(proto) {
		case "tcp":
			choice = sayTCP
		case "udp":
			choice = sayUDP
		default:
			return wrong("write 53/udp or 53/tcp", "only TCP and UDP ports are scanned, not %q", short(proto))
		}
	}
	p.said = p.said || choice != unsaid
	switch {
	case body == "":
		return wrong(hintPorts, "a port is missing")
	case strings.EqualFold(body, "all"):
		p.mark(1, 65535, choice)
		return nil
	case portNumbers.MatchString(body):
		return p.numbers(body, choice)
	}
	return p.service(body, choice)
}

// letter takes T: or U: off an item.
func (p *portReader) letter(s string) (string, *Error) {
	letter, rest, found := strings.Cut(s, ":")
	if !found {
		return s, nil
	}
	switch strings.ToUpper(letter) {
	case "T":
		p.current = sayTCP
	case "U":
		p.current = sayUDP
	default:
		return "", wrong("write T: for TCP or U: for UDP", "%q names no protocol that is scanned", short(letter))
	}
	return strings.TrimSpace(rest), nil
}

// numbers reads 22, 22-25, 22-, -25 and -.
func (p *portReader) numbers(s string, choice protoChoice) *Error {
	low, high, isRange := strings.Cut(s, "-")
	first, last := 1, 65535
	var err *Error
	if low != "" {
		first, err = portNumber(low)
	}
	if high != "" && err == nil {
		last, err = portNumber(high)
	}
	if err != nil {
		return err
	}
	if !isRange {
		last = first
	}
	if last < first {
		return wrong("write the lower port first", "it ends before it begins")
	}
	p.mark(first, last, choice)
	return nil
}

func portNumber(s string) (int, *Error) {
	n, ok := decimal(s)
	switch {
	case strings.Trim(s, "0") == "":
		return 0, wrong("begin at 1", "port 0 is reserved and never listened on (RFC 6335)")
	case len(s) > 1 && s[0] == '0':
		return 0, wrong("write the number without leading zeros", "%q may be meant as octal or as decimal", short(s))
	case !ok || n > 65535:
		return 0, wrong(hintPorts, "ports go from 1 to 65535")
	}
	return n, nil
}

func (p *portReader) mark(first, last int, choice protoChoice) {
	for n := first; n <= last; n++ {
		switch choice {
		case sayUDP:
			p.udp[n] = true
		case sayTCP:
			p.tcp[n] = true
		default:
			p.tcp[n], p.loose[n] = true, true
		}
	}
}

// service marks the ports of a service name.
func (p *portReader) service(name string, choice protoChoice) *Error {
	var refs []PortRef
	if p.lookup != nil && len(name) <= MaxSpec {
		refs = p.lookup(strings.ToLower(name))
	}
	var tcp, udp []uint16
	for _, r := range refs {
		switch {
		case r.Port == 0:
		case r.Proto == exposure.TCP:
			tcp = append(tcp, r.Port)
		case r.Proto == exposure.UDP:
			udp = append(udp, r.Port)
		}
	}
	switch {
	case len(refs) == 0:
		return wrong(hintPorts, "no service has this name")
	case choice == unsaid && len(tcp) == 0 && len(udp) > 0:
		p.said, choice = true, sayUDP
	case choice == sayTCP && len(tcp) == 0:
		return wrong("write its number", "this service has no TCP port")
	case choice == sayUDP && len(udp) == 0:
		return wrong("write its number", "this service has no UDP port")
	case len(tcp)+len(udp) == 0:
		return wrong("write its number", "this service has neither a TCP nor a UDP port")
	}
	p.markService(tcp, udp, choice)
	return nil
}

func (p *portReader) markService(tcp, udp []uint16, choice protoChoice) {
	for _, n := range tcp {
		p.tcp[n] = p.tcp[n] || choice != sayUDP
	}
	for _, n := range udp {
		p.udp[n] = p.udp[n] || choice == sayUDP
		p.loose[n] = p.loose[n] || choice == unsaid
	}
}

func (p *portReader) ports() Ports {
	if !p.said {
		for n, in := range p.loose {
			p.udp[n] = p.udp[n] || in
		}
	}
	return Ports{TCP: p.tcp.list(), UDP: p.udp.list(), Said: p.said}
}

func (s *portSet) list() PortList {
	var out PortList
	for n, in := range s {
		switch k := len(out); {
		case !in:
		case k > 0 && int(out[k-1].Last) == n-1:
			out[k-1].Last++
		default:
			out = append(out, PortRange{uint16(n), uint16(n)})
		}
	}
	return out
}
