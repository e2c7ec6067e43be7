package nmapxml

import (
	"cmp"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// outputVersion is the version of the XML that nmap.dtd describes.
const outputVersion = "1.05"

// Confidence in a service's name as nmap gives it: looked up, or heard.
const (
	confTable  = 3
	confProbed = 10
)

// Write writes a scan as nmap's XML, host after host: the scan is not copied.
// The document is valid against nmap.dtd, which knows no other scanner than
// "nmap"; the version names this program. What the DTD has no place for is
// left out: probe counts, loss, RTTs of single ports, ports of other protocols
// than TCP, UDP and SCTP, TLS versions and protocols, how exactly a service was recognised.
func Write(w io.Writer, d Doc) error {
	if err := d.check(); err != nil {
		return err
	}
	p := newPage(w)
	p.xmlHead(&d)
	for i := range d.Scan.Hosts {
		p.xmlHost(&d, &d.Scan.Hosts[i])
		p.ease()
	}
	p.xmlStats(&d)
	return p.close("nmap XML")
}

// raw appends text of our own.
func (p *page) raw(s string) { p.buf = append(p.buf, s...) }

// attr appends an attribute, its text escaped.
func (p *page) attr(name, value string) {
	p.buf = append(append(append(p.buf, ' '), name...), `="`...)
	p.buf = append(appendXML(p.buf, value), '"')
}

// attrIf appends an attribute that may be left out.
func (p *page) attrIf(name, value string) {
	if value != "" {
		p.attr(name, value)
	}
}

func (p *page) attrInt(name string, n int64) {
	p.buf = append(append(append(p.buf, ' '), name...), `="`...)
	p.buf = append(strconv.AppendInt(p.buf, n, 10), '"')
}

func (p *page) xmlHead(d *Doc) {
	p.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<!DOCTYPE nmaprun>\n")
	p.raw("<!-- written by portreeve; nmap.dtd knows no other scanner than nmap -->\n")
	p.raw(`<nmaprun scanner="nmap"`)
	p.attr("args", d.Args)
	if t := d.start(); !t.IsZero() {
		p.attrInt("start", t.Unix())
		p.attr("startstr", stamp(t))
	}
	p.attr("version", "portreeve "+d.Version)
	p.attr("xmloutputversion", outputVersion)
	p.raw(">\n")
	for _, a := range d.Asked {
		p.scaninfo(a)
	}
	p.raw("<verbose level=\"0\"/>\n<debugging level=\"0\"/>\n")
}

func (p *page) scaninfo(a Asked) {
	ports, n := portList(a.Ports)
	p.raw("<scaninfo")
	p.attr("type", a.Type)
	p.attr("protocol", string(a.Proto))
	p.attrInt("numservices", int64(n))
	p.raw(` services="`) // digits, longer than other attributes may be
	p.buf = append(p.buf, ports...)
	p.raw("\"/>\n")
}

func (p *page) xmlHost(d *Doc, h *exposure.HostScan) {
	state := "down"
	if h.Up {
		state = "up"
	}
	p.raw("<host><status")
	p.attr("state", state)
	p.attr("reason", h.Reason)
	p.raw(" reason_ttl=\"0\"/>\n")
	p.addresses(h)
	p.raw("<hostnames>")
	if h.Name != "" {
		p.raw("<hostname")
		p.attr("name", h.Name)
		p.raw(` type="user"/>`)
	}
	p.raw("</hostnames>\n")
	p.xmlPorts(d, h)
	p.guesses(h.OS)
	if h.EverythingAnswers {
		p.raw(`<hostscript><script id="` + everythingScript + `" output="random ports are open as well: something in between answers"/></hostscript>` + "\n")
	}
	p.times(h.Ports)
	p.raw("</host>\n")
}

func (p *page) addresses(h *exposure.HostScan) {
	kind := "ipv4"
	if h.Addr.Is6() {
		kind = "ipv6"
	}
	p.raw(`<address addr="`)
	p.addr(h.Addr, appendXML)
	p.raw(`"`)
	p.attr("addrtype", kind)
	p.raw("/>\n")
	if h.MAC != "" {
		p.raw("<address")
		p.attr("addr", h.MAC)
		p.raw(" addrtype=\"mac\"/>\n")
	}
}

// addr appends an address, escaping the zone, which may be any text.
func (p *page) addr(a netip.Addr, escape func([]byte, string) []byte) {
	switch {
	case a.Zone() != "":
		p.buf = escape(p.buf, a.String())
	case a.IsValid():
		p.buf = a.AppendTo(p.buf)
	}
}

func (p *page) xmlPorts(d *Doc, h *exposure.HostScan) {
	if len(h.Ports) == 0 && len(h.States) == 0 {
		return
	}
	p.raw("<ports>")
	for _, s := range p.unlisted(h) {
		p.extraports(d, h, s)
	}
	for i := range h.Ports {
		p.xmlPort(&h.Ports[i])
		p.ease()
	}
	p.raw("</ports>\n")
}

// stateCount is how many ports of a host have a state without being listed.
type stateCount struct {
	state exposure.PortStateName
	n     int
}

// unlisted gives the counts of a host, the largest first, until the next call.
func (p *page) unlisted(h *exposure.HostScan) []stateCount {
	out := p.counts[:0]
	for s, n := range h.States {
		if n > 0 {
			out = append(out, stateCount{s, n})
		}
	}
	slices.SortFunc(out, func(a, b stateCount) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.state, b.state))
	})
	p.counts = out
	return out
}

func (p *page) extraports(d *Doc, h *exposure.HostScan, s stateCount) {
	p.raw("<extraports")
	p.attr("state", string(s.state))
	p.attrInt("count", int64(s.n))
	p.raw(">")
	if d.Reasons != nil {
		for _, r := range d.Reasons(h, s.state) {
			p.raw("<extrareasons")
			p.attr("reason", r.Reason)
			p.attrInt("count", int64(r.Count))
			p.raw("/>")
		}
	}
	p.raw("</extraports>\n")
}

func (p *page) xmlPort(s *exposure.PortState) {
	if !listed(protocols, string(s.Proto)) {
		return
	}
	p.raw("<port")
	p.attr("protocol", string(s.Proto))
	p.attrInt("portid", int64(s.Port))
	p.raw("><state")
	p.attr("state", string(s.State))
	p.attr("reason", s.Reason)
	p.attrInt("reason_ttl", int64(s.TTL))
	p.raw("/>")
	if s.Service != nil {
		p.service(s.Service)
	}
	p.raw("</port>\n")
}

func (p *page) service(s *exposure.Service) {
	p.raw("<service")
	p.attr("name", cmp.Or(s.Name, "unknown"))
	p.attrIf("product", s.Product)
	p.attrIf("version", s.Version)
	p.attrIf("extrainfo", s.Info)
	if s.TLS {
		p.attr("tunnel", "ssl")
	}
	method, conf := "probed", int64(confProbed)
	if s.Via == "" || s.Via == "table" {
		method, conf = "table", confTable
	}
	p.attr("method", method)
	p.attrInt("conf", conf)
	if s.CPE == "" {
		p.raw("/>")
	} else {
		p.raw("><cpe>")
		p.buf = appendXML(p.buf, s.CPE)
		p.raw("</cpe></service>")
	}
	if s.TLSDetail != nil {
		p.certificate(s.TLSDetail)
	}
	if s.Banner != "" {
		p.raw(`<script id="` + bannerScript + `"`)
		p.attr("output", s.Banner)
		p.raw("/>")
	}
}

func (p *page) guesses(os []exposure.OSGuess) {
	if len(os) == 0 {
		return
	}
	p.raw("<os>")
	for _, g := range os {
		p.raw("<osmatch")
		p.attr("name", g.Name)
		p.attrInt("accuracy", int64(g.Accuracy))
		p.raw(` line="0"/>`) // no line of nmap's table
	}
	p.raw("</os>\n")
}

// times writes the host's round trip as RFC 6298 section 2 smooths the answers
// of its ports, in microseconds.
func (p *page) times(ports []exposure.PortState) {
	var srtt, rttvar time.Duration
	seen := false
	for i := range ports {
		rtt := max(ports[i].RTT, time.Duration(ports[i].RTTus)*time.Microsecond)
		switch {
		case rtt <= 0:
		case !seen:
			srtt, rttvar, seen = rtt, rtt/2, true
		default:
			rttvar = (3*rttvar + (srtt - rtt).Abs()) / 4
			srtt = (7*srtt + rtt) / 8
		}
	}
	if !seen {
		return
	}
	p.raw("<times")
	p.attrInt("srtt", srtt.Microseconds())
	p.attrInt("rttvar", rttvar.Microseconds())
	p.attrInt("to", (srtt + 4*rttvar).Microseconds())
	p.raw("/>\n")
}

func (p *page) xmlStats(d *Doc) {
	up, total := d.hosts()
	p.raw("<runstats><finished")
	p.attrInt("time", epochOf(d.end()))
	p.attr("timestr", stamp(d.end()))
	p.attr("summary", "portreeve done at "+stamp(d.end())+"; "+d.summary())
	p.attr("elapsed", strconv.FormatFloat(d.seconds(), 'f', -1, 64))
	if why := d.failure(); why != "" {
		p.attr("exit", "error")
		p.attr("errormsg", why)
	} else {
		p.attr("exit", "success")
	}
	p.raw("/><hosts")
	p.attrInt("up", int64(up))
	p.attrInt("down", int64(total-up))
	p.attrInt("total", int64(total))
	p.raw("/></runstats>\n</nmaprun>\n")
}
