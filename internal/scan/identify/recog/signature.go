package recog

import (
	"context"
	_ "embed"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

//go:embed keys.txt
var keysText string

// Via is what Service.Via says.
const Via = "recog"

// maxParts bounds how many headers or lines of one answer are tried per key.
const maxParts = 8

// Signature says what a server is whose answer to some probe, or whose
// greeting, was answer. service is the registry name of the protocol if it was
// recognised, else "": then it is told from the answer's first bytes. Of UDP
// answers only SIP's are read; for others (SNMP, NTP, DNS) the caller has the
// field and calls Match.
func (db *DB) Signature(ctx context.Context, proto, service string, answer []byte) (exposure.Service, bool) {
	if proto == "udp" && service != "sip" {
		return exposure.Service{}, false
	}
	name, r, ok := db.Recognise(ctx, service, string(answer[:min(len(answer), maxField)]))
	if !ok {
		return exposure.Service{}, false
	}
	info := first(r.Hardware, r.OS)
	if r.Hardware != "" && r.OS != "" && r.Hardware != r.OS {
		info = r.Hardware + "; " + r.OS
	}
	return exposure.Service{Name: name, Product: r.productName(), Version: r.Version, Info: info, CPE: r.CPE, Via: Via}, true
}

// productName is the product in words that stand alone: recog's "HTTPD" of the
// family Apache is "Apache HTTPD".
func (r Result) productName() string {
	switch {
	case r.Product == "" || r.Product == r.Family || containsFold(r.Product, r.Vendor):
		return r.Product
	case r.Family != "" && containsFold(r.Vendor, r.Family):
		return words(r.Family, r.Product)
	}
	return words(r.Vendor, r.Product)
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// Recognise is Signature with everything that recog tells: of the fields in
// the answer the first that names a product, else the first that tells
// anything. name is the service.
func (db *DB) Recognise(ctx context.Context, service, answer string) (name string, best Result, ok bool) {
	services := []string{service}
	if service == "" {
		services = guess(answer)
	}
	for line := range strings.Lines(keysText) {
		columns := strings.Fields(line)
		if len(columns) < 3 || line[0] == '#' {
			continue
		}
		for _, candidate := range services {
			if candidate != columns[0] {
				continue
			}
			for _, field := range take(answer, columns[2], strings.Join(columns[3:], " ")) {
				r, found := db.Match(ctx, columns[1], field)
				if found && r.Product != "" {
					return candidate, r, true
				}
				if found && !ok && r.OS+r.Hardware != "" {
					name, best, ok = candidate, r, true
				}
			}
		}
	}
	return name, best, ok
}

// guess says which services an answer may be of.
func guess(answer string) []string {
	for _, form := range []struct {
		prefix   string
		services []string
	}{
		{"SSH-", []string{"ssh"}}, {"HTTP/", []string{"http"}}, {"RTSP/", []string{"rtsp"}}, {"SIP/", []string{"sip"}},
		{"+OK", []string{"pop3"}}, {"* OK", []string{"imap"}}, {"220", []string{"smtp", "ftp"}}, {"20", []string{"nntp"}},
	} {
		if strings.HasPrefix(answer, form.prefix) {
			return form.services
		}
	}
	if _, ok := mysqlVersion(answer); ok {
		return []string{"mysql"}
	}
	return nil
}

// take gives the parts of an answer that a form of keys.txt names.
func take(answer, form, arg string) []string {
	switch form {
	case "ssh":
		return sshSoftware(answer)
	case "reply":
		return replyTexts(answer)
	case "after":
		line, _, _ := strings.Cut(answer, "\n")
		if text, ok := strings.CutPrefix(line, arg); ok {
			return []string{strings.TrimSpace(text)}
		}
	case "text":
		return []string{strings.TrimSpace(withoutTelnet(answer))}
	case "mysql-version":
		if version, ok := mysqlVersion(answer); ok {
			return []string{version}
		}
	case "mysql-error":
		return mysqlError(answer)
	case "header":
		return headers(answer, arg)
	case "title":
		return title(answer)
	}
	return nil
}
