package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed daemons.txt
var daemonTable string

// daemon is a server of Debian's (daemons.txt).
type daemon struct {
	program  string
	packages []string
	ports    []daemonPort
	version  string // expression with {v}; "-": it does not tell
	script   string
}

type daemonPort struct {
	port  int
	names []string
}

// parseDaemons reads the table.
func parseDaemons(table string) ([]daemon, error) {
	var list []daemon
	for i, block := range strings.Split("\n"+table, "\n== ") {
		if i == 0 {
			continue // the comment at its head
		}
		head, script, _ := strings.Cut(block, "\n")
		d, err := parseDaemon(head)
		if err != nil {
			return nil, fmt.Errorf("daemons.txt: %q: %w", head, err)
		}
		d.script = strings.TrimSpace(script)
		list = append(list, d)
	}
	return list, nil
}

func parseDaemon(head string) (daemon, error) {
	// The version may have spaces: it is what follows the last PORT=NAME.
	m := regexp.MustCompile(`^(\S+) (\S+) ((?:\d+=\S+ )+)(.+)$`).FindStringSubmatch(head)
	if m == nil {
		return daemon{}, fmt.Errorf("is not PROGRAM PACKAGE PORT=NAME… VERSION")
	}
	d := daemon{program: m[1], packages: strings.Split(m[2], ","), version: m[4]}
	for word := range strings.FieldsSeq(m[3]) {
		number, names, _ := strings.Cut(word, "=")
		port, err := strconv.Atoi(number)
		if err != nil {
			return d, err
		}
		d.ports = append(d.ports, daemonPort{port, strings.Split(names, "|")})
	}
	_, err := regexp.Compile(d.version)
	return d, err
}

// upstream is the upstream part of a Debian version (deb-version(7)), without
// what Debian adds when it repacks.
func upstream(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version = version[:i]
	}
	version, _, _ = strings.Cut(version, "+")
	return version
}

// rightName reports whether a name is one of the port's words.
func (p daemonPort) rightName(s service) bool { return slices.Contains(p.names, s.name) }

// rightVersion matches a version against the daemon's, installed as v.
func (d daemon) rightVersion(s service, v string) bool {
	if d.version == "-" || s.version == "" {
		return false
	}
	exp := strings.ReplaceAll(d.version, "{v}", `(^|[^\d.])`+regexp.QuoteMeta(v)+`($|[^\d])`)
	return regexp.MustCompile(exp).MatchString(s.version)
}
