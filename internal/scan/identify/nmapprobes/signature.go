package nmapprobes

import (
	"context"
	_ "embed"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

//go:embed aliases.txt
var aliasText string

// Via is what Service.Via says.
const Via = "nmap-service-probes"

// telling is how many bytes of fixed text a line must hold to be believed
// about an answer whose question it was not written for.
const telling = 4

// Signature says what a server is whose answer to some probe of ours, or whose
// greeting, was answer. service is the registry name of the protocol if it was
// recognised, else "". A recognised name is kept where the file agrees under
// its own name for it.
func (db *DB) Signature(ctx context.Context, proto, service string, answer []byte) (exposure.Service, bool) {
	r, ok := db.Recognise(ctx, proto, service, answer)
	if !ok {
		return exposure.Service{}, false
	}
	s := exposure.Service{Name: r.Name, Product: r.Product, Version: r.Version, Info: r.Info, CPE: r.application(), TLS: r.TLS, Via: Via}
	if service != "" && theirNames(service)[strings.ToLower(r.Name)] {
		s.Name = service
	}
	return s, true
}

// application is the first CPE name of an application, else the first of all.
func (r Result) application() string {
	for _, name := range r.CPE {
		if strings.HasPrefix(name, "cpe:/a") {
			return name
		}
	}
	if len(r.CPE) > 0 {
		return r.CPE[0]
	}
	return ""
}

// Recognise is Signature with everything that the file tells. A recognised
// service is looked for among its own lines, whatever probe they stand
// under, and then, as http carries many others, among all that a GET may be
// answered with; an unknown one among greetings, answers to GET, and at last
// all lines of the protocol that hold enough fixed text to be believed.
func (db *DB) Recognise(ctx context.Context, proto, service string, answer []byte) (Result, bool) {
	if len(answer) == 0 {
		return Result{}, false
	}
	s := db.search(ctx, answer)
	if service != "" {
		names := theirNames(service)
		s.want = func(l *line) bool { return names[strings.ToLower(l.service)] }
		s.everywhere(proto)
	}
	if service == "http" || service == "" {
		s.want = nil
		for _, name := range []string{nullProbe, "GetRequest"} {
			if p := db.Probe(proto, name); p != nil {
				s.lines(p.lines)
			}
		}
	}
	if service == "" {
		s.want = func(l *line) bool { return !l.soft && len(l.pattern.Literal()) >= telling }
		s.everywhere(proto)
	}
	return s.best()
}

// everywhere tries the wanted lines of all probes of a protocol, NULL's first:
// the file's order.
func (s *search) everywhere(proto string) {
	for _, p := range s.db.probes {
		if p.Proto == proto {
			s.lines(p.lines)
		}
	}
}

// theirNames are the names, in lower case, by which the file may call a
// service of the registry.
func theirNames(ours string) map[string]bool {
	names := map[string]bool{strings.ToLower(ours): true}
	for line := range strings.Lines(aliasText) {
		if pair := strings.Fields(line); len(pair) == 2 && pair[0] == ours {
			names[pair[1]] = true
		}
	}
	return names
}
