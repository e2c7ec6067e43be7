package nmapxml

import (
	"fmt"
	"io"
	"strconv"

	"github.com/portreeve/portreeve/internal/exposure"
)

// WriteGrepable writes a scan in the line format of nmap -oG, as described at
// https://nmap.org/book/output-formats-grepable-output.html: per host a
// Status line and, where ports were asked, a line with tab-separated fields.
// The comments name this program. Remote procedure calls and sequence
// numbers, which exposure does not know, are left out.
func WriteGrepable(w io.Writer, d Doc) error {
	if err := d.check(); err != nil {
		return err
	}
	p := newPage(w)
	p.grepHead(&d)
	for i := range d.Scan.Hosts {
		p.grepHost(&d.Scan.Hosts[i])
		p.ease()
	}
	p.raw("# portreeve done at " + stamp(d.end()) + " -- " + d.summary())
	if why := d.failure(); why != "" {
		p.raw("; incomplete: ")
		p.buf = appendPlain(p.buf, why)
	}
	p.raw("\n")
	return p.close("grepable output")
}

func (p *page) grepHead(d *Doc) {
	p.raw("# portreeve ")
	p.buf = appendPlain(p.buf, d.Version)
	p.raw(" scan initiated " + stamp(d.start()) + " as: ")
	p.buf = append(appendLine(p.buf, d.Args), '\n')
	if len(d.Asked) == 0 {
		return
	}
	p.raw("# Ports scanned:")
	for _, proto := range []struct{ name, proto string }{{"TCP", "tcp"}, {"UDP", "udp"}, {"SCTP", "sctp"}} {
		ports, n := portList(d.ports(exposure.Proto(proto.proto)))
		p.buf = fmt.Appendf(p.buf, " %s(%d;%s)", proto.name, n, ports)
	}
	p.raw(" PROTOCOLS(0;)\n")
}

// ports gives everything that was asked of a protocol.
func (d *Doc) ports(proto exposure.Proto) []uint16 {
	var out []uint16
	for _, a := range d.Asked {
		if a.Proto == proto {
			out = append(out, a.Ports...)
		}
	}
	return out
}

func (p *page) grepHost(h *exposure.HostScan) {
	state := "Down\n"
	if h.Up {
		state = "Up\n"
	}
	p.grepName(h)
	p.raw("Status: " + state)
	if len(h.Ports) == 0 && len(h.States) == 0 {
		return
	}
	p.grepName(h)
	p.raw("Ports: ")
	for i := range h.Ports {
		if i > 0 {
			p.raw(", ")
		}
		p.grepPort(&h.Ports[i])
		p.ease()
	}
	if u := p.unlisted(h); len(u) == 1 { // the format has one place
		p.raw("\tIgnored State: ")
		p.buf = appendPlain(p.buf, string(u[0].state))
		p.buf = append(strconv.AppendInt(append(p.buf, " ("...), int64(u[0].n), 10), ')')
	}
	p.grepOS(h.OS)
	p.raw("\n")
}

func (p *page) grepName(h *exposure.HostScan) {
	p.raw("Host: ")
	p.addr(h.Addr, appendPlain)
	p.raw(" (")
	p.buf = appendPlain(p.buf, h.Name)
	p.raw(")\t")
}

// grepPort writes port/state/protocol/owner/service/rpc/version/.
func (p *page) grepPort(s *exposure.PortState) {
	p.buf = append(strconv.AppendUint(p.buf, uint64(s.Port), 10), '/')
	p.buf = append(appendPlain(p.buf, string(s.State)), '/')
	p.buf = append(appendPlain(p.buf, string(s.Proto)), "//"...)
	if s.Service == nil {
		p.raw("///")
		return
	}
	if s.Service.TLS {
		p.raw("ssl|")
	}
	p.buf = append(appendPlain(p.buf, s.Service.Name), "//"...)
	p.grepVersion(s.Service)
	p.raw("/")
}

// grepVersion writes product, version and, in brackets, what else was told.
func (p *page) grepVersion(s *exposure.Service) {
	from := len(p.buf)
	for _, part := range [...]string{s.Product, s.Version} {
		if part == "" {
			continue
		}
		if len(p.buf) > from {
			p.raw(" ")
		}
		p.buf = appendPlain(p.buf, part)
	}
	if s.Info == "" {
		return
	}
	if len(p.buf) > from {
		p.raw(" ")
	}
	p.buf = append(appendPlain(append(p.buf, '('), s.Info), ')')
}

// grepOS writes the guesses that are certain: the format has no place for
// doubt.
func (p *page) grepOS(os []exposure.OSGuess) {
	lead := "\tOS: "
	for _, g := range os {
		if g.Accuracy >= 100 {
			p.raw(lead)
			p.buf = appendPlain(p.buf, g.Name)
			lead = "|"
		}
	}
}
