package nmapxml

import (
	"encoding/xml"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// certScript is nmap's script that tells a server's certificate, as a text
// and as tables: subject, issuer, extensions and validity.
const certScript = "ssl-cert"

// Words of the script's tables.
const (
	altNames  = "X509v3 Subject Alternative Name"
	certTime  = "2006-01-02T15:04:05" // UTC; older nmap adds +00:00
	maxNames  = 256
	namesGlue = ", "
)

// certificate writes what is known of a certificate as the script does.
func (p *page) certificate(d *exposure.TLSDetail) {
	if d.Subject == "" && d.Issuer == "" && len(d.Names) == 0 && d.NotAfter.IsZero() {
		return
	}
	names, end := altNamesText(d.Names), ""
	if !d.NotAfter.IsZero() {
		end = d.NotAfter.UTC().Format(certTime)
	}
	p.raw(`<script id="` + certScript + `" output="`)
	lead := ""
	for _, f := range [...]struct{ head, text string }{{"Subject: commonName=", d.Subject}, {"Subject Alternative Name: ", names},
		{"Issuer: commonName=", d.Issuer}, {"Not valid after:  ", end}} {
		if f.text != "" {
			p.raw(lead + f.head)
			p.buf = appendXML(p.buf, f.text)
			lead = "&#10;"
		}
	}
	p.raw(`">`)
	p.table("subject", "commonName", d.Subject)
	p.table("issuer", "commonName", d.Issuer)
	if len(d.Names) > 0 {
		p.raw(`<table key="extensions"><table>`)
		p.elem("name", altNames)
		p.elem("value", names)
		p.raw("</table></table>")
	}
	p.table("validity", "notAfter", end)
	p.raw("</script>")
}

func (p *page) table(key, elem, text string) {
	if text == "" {
		return
	}
	p.raw(`<table key="` + key + `">`)
	p.elem(elem, text)
	p.raw("</table>")
}

func (p *page) elem(key, text string) {
	p.raw(`<elem key="` + key + `">`)
	p.buf = append(appendXML(p.buf, text), "</elem>"...)
}

// altNamesText is a list of names as OpenSSL prints it, whole names only.
func altNamesText(names []string) string {
	var b strings.Builder
	for i, n := range names[:min(maxNames, len(names))] {
		kind := "DNS:"
		if _, err := netip.ParseAddr(n); err == nil {
			kind = "IP Address:"
		}
		if b.Len()+len(namesGlue)+len(kind)+len(n) > maxText {
			break
		}
		if i > 0 {
			b.WriteString(namesGlue)
		}
		b.WriteString(kind + n)
	}
	return b.String()
}

// certReader reads the script's tables of one port.
type certReader struct {
	detail exposure.TLSDetail
	keys   []string // of the tables and elements around
	inAlt  bool     // the extension being read lists the names
}

func (c *certReader) start(e xml.StartElement) { c.keys = append(c.keys, attr(e, "key")) }

// end reports the script's own end.
func (c *certReader) end() bool {
	if len(c.keys) == 0 {
		return true
	}
	c.keys = c.keys[:len(c.keys)-1]
	return false
}

func (c *certReader) text(s string) {
	switch strings.Join(c.keys, "/") {
	case "subject/commonName":
		c.detail.Subject = s
	case "issuer/commonName":
		c.detail.Issuer = s
	case "extensions//name":
		c.inAlt = s == altNames
	case "extensions//value":
		if c.inAlt {
			c.detail.Names = readNames(s)
		}
	case "validity/notAfter":
		if t, err := time.Parse(certTime, s[:min(len(s), len(certTime))]); err == nil {
			c.detail.NotAfter = t
		}
	}
}

// readNames gives the host names and addresses of a list.
func readNames(s string) []string {
	var out []string
	for n := range strings.SplitSeq(s, namesGlue) {
		host, dns := strings.CutPrefix(n, "DNS:")
		addr, ip := strings.CutPrefix(n, "IP Address:")
		switch {
		case len(out) == maxNames:
			return out
		case dns:
			out = append(out, host)
		case ip:
			out = append(out, addr)
		}
	}
	return out
}

// keepCertificate adds what the script told to the port's service.
func (p *parser) keepCertificate() {
	d := p.cert.detail
	p.cert = nil
	if p.port == nil || d.Subject == "" && d.Issuer == "" && len(d.Names) == 0 && d.NotAfter.IsZero() {
		return
	}
	if p.port.Service == nil {
		p.port.Service = &exposure.Service{}
	}
	d.Names = slices.Clip(d.Names)
	p.port.Service.TLSDetail = &d
}
