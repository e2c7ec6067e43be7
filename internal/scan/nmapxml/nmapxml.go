package nmapxml

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of a file.
const (
	maxToken = 8 << 20  // bytes of one element or attribute (script output is long)
	maxDepth = 256      // elements within elements
	maxPorts = 10 << 20 // port states in all
	maxHosts = 4 << 20
	maxText  = 4 << 10 // bytes kept of one attribute
	maxOS    = 32      // guesses at one host's operating system
)

// Scripts of the file that tell something of a host or a port: nmap's own
// banner, and what Write says of a host where random ports are open.
const (
	bannerScript     = "banner"
	everythingScript = "portreeve-everything-answers"
)

// Errors of a file that is no nmap XML or is beyond the bounds.
var (
	ErrFormat   = errors.New("this is no nmap XML")
	ErrTooLarge = errors.New("this nmap XML is larger than can be read")
)

// Run is one nmap run.
type Run struct {
	Scanner  string    // "nmap", "masscan"
	Taken    time.Time // when it began; zero if not said
	Seconds  float64   // how long it took; 0 if not said
	Finished bool      // the file says that the run came to its end
	Failure  string    // why it did not, in the scanner's words
	Hosts    []exposure.HostScan
}

// Read reads the hosts of a file; see Parse.
func Read(r io.Reader) ([]exposure.HostScan, error) {
	run, err := Parse(r)
	return run.Hosts, err
}

// Parse reads a file. Hosts keep their order; entries of one address are put
// together (masscan writes one per port). A host without an IP address keeps
// the zero Addr. The error wraps ErrFormat, ErrTooLarge, io.ErrUnexpectedEOF or an
// *xml.SyntaxError, and comes with what was read before it.
func Parse(r io.Reader) (Run, error) {
	bounded := &tokenReader{r: r, left: maxToken}
	d := xml.NewDecoder(bounded)
	d.CharsetReader = charset
	p := &parser{index: map[netip.Addr]int{}, asked: map[exposure.Proto]int{}}
	for {
		bounded.left = maxToken
		tok, err := d.Token()
		if err == nil {
			err = p.token(tok)
		}
		if err != nil {
			return p.end(err)
		}
	}
}

// tokenReader fails when one token takes too many bytes.
type tokenReader struct {
	r    io.Reader
	left int
}

func (t *tokenReader) Read(b []byte) (int, error) {
	if t.left <= 0 {
		return 0, fmt.Errorf("%w: one element has more than %d bytes", ErrTooLarge, maxToken)
	}
	n, err := t.r.Read(b)
	t.left -= n
	return n, err
}

// charset reads the one-byte encodings that such files declare.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "us-ascii", "ascii", "utf-8", "utf8":
		return r, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return &latin1{r: r}, nil
	}
	return nil, fmt.Errorf("%w: encoding %.40q is not known", ErrFormat, name)
}

// latin1 turns ISO 8859-1 into UTF-8.
type latin1 struct {
	r    io.Reader
	rest []byte
}

func (l *latin1) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		raw := make([]byte, max(len(b)/2, 1))
		n, err := l.r.Read(raw)
		for _, c := range raw[:n] {
			l.rest = append(l.rest, string(rune(c))...)
		}
		if n == 0 {
			return 0, err
		}
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// parser holds the run and the element being read.
type parser struct {
	run   Run
	asked map[exposure.Proto]int
	index map[netip.Addr]int // address → host in run
	path  []string
	host  *exposure.HostScan
	port  *exposure.PortState
	cert  *certReader // in the certificate script of port
	ports int
	began bool
}

// end closes the parse: io.EOF after the root is the regular end.
func (p *parser) end(err error) (Run, error) {
	for i := range p.run.Hosts {
		if len(p.asked) > 0 {
			p.run.Hosts[i].Asked = p.asked
		}
	}
	switch {
	case errors.Is(err, ErrFormat), errors.Is(err, ErrTooLarge):
		return p.run, err
	case errors.Is(err, io.EOF) && p.began && len(p.path) == 0:
		return p.run, nil
	case !p.began:
		return p.run, fmt.Errorf("%w: no nmaprun element: %w", ErrFormat, err)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	p.run.Finished = false
	return p.run, fmt.Errorf("read nmap XML after %d hosts: %w", len(p.run.Hosts), err)
}

func (p *parser) token(tok xml.Token) error {
	switch t := tok.(type) {
	case xml.StartElement:
		if len(p.path) >= maxDepth {
			return fmt.Errorf("%w: elements are nested more than %d deep", ErrTooLarge, maxDepth)
		}
		p.path = append(p.path, t.Name.Local)
		if p.cert != nil {
			p.cert.start(t)
			return nil
		}
		return p.start(t)
	case xml.EndElement:
		p.path = p.path[:len(p.path)-1]
		if p.cert == nil {
			return p.finish(t.Name.Local)
		}
		if p.cert.end() {
			p.keepCertificate()
		}
	case xml.CharData:
		if p.cert != nil {
			p.cert.text(text(string(t)))
		} else if p.port != nil && p.port.Service != nil && p.inside() == "service" && p.path[len(p.path)-1] == "cpe" && p.port.Service.CPE == "" {
			p.port.Service.CPE = text(string(t))
		}
	}
	return nil
}

// inside tells the name of the element around the one that just began.
func (p *parser) inside() string {
	if len(p.path) < 2 {
		return ""
	}
	return p.path[len(p.path)-2]
}

func (p *parser) start(e xml.StartElement) error {
	if len(p.path) == 1 {
		if e.Name.Local != "nmaprun" || p.began {
			return fmt.Errorf("%w: it begins with %.40q", ErrFormat, e.Name.Local)
		}
		p.began = true
		p.run.Scanner = attr(e, "scanner")
		p.run.Taken = epoch(attr(e, "start"))
		return nil
	}
	switch p.inside() + "/" + e.Name.Local {
	case "nmaprun/scaninfo":
		p.scaninfo(e)
	case "nmaprun/host":
		p.host = &exposure.HostScan{States: map[exposure.PortStateName]int{}, Ports: []exposure.PortState{}}
	case "runstats/finished":
		p.finished(e)
	}
	if p.host != nil {
		return p.startInHost(e)
	}
	return nil
}

func (p *parser) scaninfo(e xml.StartElement) {
	n, err := strconv.Atoi(attr(e, "numservices"))
	if proto := attr(e, "protocol"); err == nil && n > 0 && n <= 1<<16 && proto != "" {
		p.asked[exposure.Proto(proto)] = n
	}
}

func (p *parser) finished(e xml.StartElement) {
	p.run.Finished = attr(e, "exit") != "error" && attr(e, "errormsg") == ""
	p.run.Failure = attr(e, "errormsg")
	p.run.Seconds, _ = strconv.ParseFloat(attr(e, "elapsed"), 64)
}

func (p *parser) startInHost(e xml.StartElement) error {
	switch p.inside() + "/" + e.Name.Local {
	case "host/status":
		p.host.Up = attr(e, "state") == "up"
		p.host.Reason = attr(e, "reason")
	case "host/address":
		p.address(e)
	case "hostnames/hostname":
		if p.host.Name == "" || attr(e, "type") == "user" {
			p.host.Name = attr(e, "name")
		}
	case "ports/extraports":
		n, err := strconv.Atoi(attr(e, "count"))
		if state := attr(e, "state"); err == nil && n > 0 && n <= 1<<20 && state != "" {
			p.host.States[exposure.PortStateName(state)] += n
		}
	case "os/osmatch":
		p.guess(e)
	case "hostscript/script":
		p.host.EverythingAnswers = p.host.EverythingAnswers || attr(e, "id") == everythingScript
	case "ports/port":
		return p.startPort(e)
	}
	if p.port != nil {
		p.startInPort(e)
	}
	return nil
}

// guess takes a guess at the operating system.
func (p *parser) guess(e xml.StartElement) {
	n, err := strconv.Atoi(attr(e, "accuracy"))
	if name := attr(e, "name"); err == nil && n >= 0 && n <= 100 && name != "" && len(p.host.OS) < maxOS {
		p.host.OS = append(p.host.OS, exposure.OSGuess{Name: name, Accuracy: n, Via: "nmap"})
	}
}

// address takes the first IP address and the first hardware address.
func (p *parser) address(e xml.StartElement) {
	if attr(e, "addrtype") == "mac" {
		p.host.MAC = cmp.Or(p.host.MAC, attr(e, "addr"))
		return
	}
	if p.host.Addr.IsValid() {
		return
	}
	if ip, err := netip.ParseAddr(attr(e, "addr")); err == nil {
		p.host.Addr = ip
	} else if p.host.Name == "" {
		p.host.Name = attr(e, "addr")
	}
}

func (p *parser) startPort(e xml.StartElement) error {
	if p.ports++; p.ports > maxPorts {
		return fmt.Errorf("%w: more than %d ports", ErrTooLarge, maxPorts)
	}
	n, err := strconv.ParseUint(attr(e, "portid"), 10, 16)
	if err != nil {
		return nil // a protocol number beyond ports, or nonsense: no endpoint
	}
	p.port = &exposure.PortState{Port: uint16(n), Proto: exposure.Proto(attr(e, "protocol"))}
	return nil
}

func (p *parser) startInPort(e xml.StartElement) {
	switch p.inside() + "/" + e.Name.Local {
	case "port/state":
		p.port.State = exposure.PortStateName(attr(e, "state"))
		p.port.Reason = attr(e, "reason")
		p.port.TTL = ttl(attr(e, "reason_ttl"))
	case "port/service":
		p.port.Service = service(e)
	case "port/script":
		p.script(e)
	}
}

// ttl is 0 where the file does not say it.
func ttl(s string) uint8 {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}

// script takes what the banner script heard and what the certificate script
// found.
func (p *parser) script(e xml.StartElement) {
	id, heard := attr(e, "id"), attr(e, "output")
	if id == certScript {
		p.cert = &certReader{}
	}
	if id != bannerScript || heard == "" {
		return
	}
	if p.port.Service == nil {
		p.port.Service = &exposure.Service{}
	}
	p.port.Service.Banner = cmp.Or(p.port.Service.Banner, heard)
}

func service(e xml.StartElement) *exposure.Service {
	s := &exposure.Service{Name: attr(e, "name"), Product: attr(e, "product"), Version: attr(e, "version"),
		Info: attr(e, "extrainfo"), TLS: attr(e, "tunnel") == "ssl", Via: attr(e, "method"), Banner: attr(e, "banner")}
	if *s == (exposure.Service{}) {
		return nil
	}
	return s
}

func (p *parser) finish(name string) error {
	switch {
	case name == "port" && p.port != nil && p.host != nil:
		if p.port.State != "" {
			p.host.Ports = append(p.host.Ports, *p.port)
		}
		p.port = nil
	case name == "host" && p.host != nil && len(p.path) == 1:
		p.keep(p.host)
		p.host, p.port = nil, nil
		if len(p.run.Hosts) > maxHosts {
			return fmt.Errorf("%w: more than %d hosts", ErrTooLarge, maxHosts)
		}
	}
	return nil
}

// keep adds a host, or its ports to the entry that its address has.
func (p *parser) keep(h *exposure.HostScan) {
	h.Up = h.Up || len(h.Ports) > 0 && p.run.Scanner == "masscan"
	for i := range h.Ports {
		h.Ports[i].Addr = h.Addr
	}
	i, seen := p.index[h.Addr]
	if !seen || !h.Addr.IsValid() {
		p.index[h.Addr] = len(p.run.Hosts)
		p.run.Hosts = append(p.run.Hosts, *h)
		return
	}
	old := &p.run.Hosts[i]
	old.Up = old.Up || h.Up
	old.Ports = append(old.Ports, h.Ports...)
	for state, n := range h.States {
		old.States[state] += n
	}
	old.EverythingAnswers = old.EverythingAnswers || h.EverythingAnswers
	old.Name, old.Reason, old.MAC = cmp.Or(old.Name, h.Name), cmp.Or(old.Reason, h.Reason), cmp.Or(old.MAC, h.MAC)
	if len(old.OS) == 0 {
		old.OS = h.OS
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return text(a.Value)
		}
	}
	return ""
}

// text bounds a value, which must not keep a large token alive.
func text(s string) string {
	return strings.ToValidUTF8(strings.Clone(s[:min(len(s), maxText)]), "\uFFFD")
}

func epoch(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
