package serverconf

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

func mysqlSyntax() syntax {
	return syntax{comments: "#;", inline: true, equals: true, sections: true, dashes: true, fold: true}
}

// readMySQL reads the option files of MySQL and MariaDB (dev.mysql.com, "Using
// Option Files"; mariadb.com/kb, "Configuring MariaDB with Option Files"): the
// server's groups of all files in order, the last bind-address holds.
func readMySQL(v *view) (*setup, error) {
	names, err := v.mysqlFiles()
	if err != nil {
		return nil, err
	}
	var all []entry
	var main *file
	for _, n := range names {
		f, err := v.read(n)
		if err != nil {
			return nil, err
		}
		more, err := v.mysqlEntries(f, 0)
		if err != nil {
			return nil, err
		}
		all, main = append(all, more...), f
	}
	key, port, err := v.mysqlPort(all)
	if err != nil {
		return nil, err
	}
	set := &setup{restart: true, check: v.mysqlCheck(), notes: []string{"a restart ends every connection"}}
	set.places, err = v.mysqlPlaces(main, all, key, port)
	return set, err
}

// mysqlFiles are the option files that exist, in order.
func (v *view) mysqlFiles() (out []string, err error) {
	for _, flag := range []string{"--bind-address", "--bind_address", "--mysqlx-bind-address"} {
		if text, ok := v.option(flag); ok {
			return nil, v.decline("its command line says %s=%s", flag, text)
		}
	}
	if name, ok := v.option("--defaults-file"); ok {
		return []string{v.abs(name)}, nil
	}
	if slices.Contains(v.argv, "--no-defaults") {
		return nil, v.decline("it was started with --no-defaults")
	}
	names := []string{"/etc/my.cnf", "/etc/mysql/my.cnf"}
	if name, ok := v.option("--defaults-extra-file"); ok {
		names = append(names, v.abs(name))
	}
	for _, n := range names {
		v.look(n)
		if v.exists(n) && !slices.ContainsFunc(out, func(o string) bool { return resolve(v.root, o) == resolve(v.root, n) }) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nil, v.decline("none of the places where its options are kept exists")
	}
	return out, nil
}

// mysqlCheck: MySQL has an option for it; MariaDB reads everything before it
// shows its help.
func (v *view) mysqlCheck() []string {
	out := []string{v.program()}
	if name, ok := v.option("--defaults-file"); ok {
		out = append(out, "--defaults-file="+v.abs(name))
	}
	if v.isMariaDB() {
		return append(out, "--help", "--verbose")
	}
	return append(out, "--validate-config")
}

func (v *view) isMariaDB() bool {
	return path.Base(v.program()) == "mariadbd" || v.exists("/usr/sbin/mariadbd") || v.exists("/usr/bin/mariadbd")
}

func (v *view) mysqlEntries(f *file, depth int) (out []entry, err error) {
	if depth > mostDepth {
		return nil, v.tooDeep(f.path)
	}
	for _, e := range mysqlSyntax().scan(f) {
		var names []string
		switch e.key {
		case "!include":
			names = []string{v.abs(e.val)}
		case "!includedir":
			names = v.include("/", strings.TrimSuffix(e.val, "/")+"/*.cnf")
		default:
			out = append(out, e)
			continue
		}
		for _, n := range names {
			sub, err := v.read(n)
			if err != nil {
				return nil, err
			}
			more, err := v.mysqlEntries(sub, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		if len(out) > 1<<16 {
			return nil, v.tooDeep(f.path)
		}
	}
	return out, nil
}

// isMySQLGroup reports a group that the server reads; other is one that only
// some version of it reads.
func (v *view) isMySQLGroup(section string) (is, other bool) {
	switch section {
	case "mysqld", "server":
		return true, false
	case "mariadb", "mariadbd", "client-server", "galera":
		return v.isMariaDB(), false
	}
	return false, strings.HasPrefix(section, "mysqld-") || strings.HasPrefix(section, "mariadb-") || strings.HasPrefix(section, "mariadbd-")
}

// mysqlPort says which key binds the socket's port: bind-address for port, or
// mysqlx-bind-address for the X protocol's.
func (v *view) mysqlPort(all []entry) (key string, port uint16, err error) {
	for _, k := range [][3]string{{"port", "3306", "bind-address"}, {"mysqlx-port", "33060", "mysqlx-bind-address"}} {
		text := k[1]
		for _, e := range all {
			if is, _ := v.isMySQLGroup(e.section); is && e.key == k[0] {
				text = e.val
			}
		}
		if t, ok := v.option("--"+k[0], "-P"); ok && (k[0] == "port" || strings.HasPrefix(t, "mysqlx")) {
			text = t
		}
		n, ok := portNumber(text)
		if !ok {
			return "", 0, v.decline("its %s %q is no number", k[0], text)
		}
		if n == v.s.Port {
			return k[2], n, nil
		}
	}
	return "", 0, v.decline("nothing there makes it listen at port %d", v.s.Port)
}

func (v *view) mysqlPlaces(main *file, all []entry, key string, port uint16) ([]place, error) {
	var found *entry
	for i := range all {
		e := &all[i]
		is, other := v.isMySQLGroup(e.section)
		if e.key == key && other {
			return nil, v.decline("%s sets %s for one version only, in [%s]", e.f.path, key, e.section)
		}
		if e.key == "skip-networking" && is && e.val != "0" && !strings.EqualFold(e.val, "off") {
			return nil, v.decline("%s says skip-networking", e.f.path)
		}
		if e.key == key && is {
			found = e
		}
	}
	if found == nil {
		return []place{v.mysqlAbsent(main, all, key, port)}, nil
	}
	var out []place
	for _, t := range found.tokens(", ") {
		addrs, ok := dualNames("*")(t.text)
		if !ok {
			return nil, v.decline("%s names %q, which is no address", key, t.text)
		}
		p := listPlace(*found, t, at(port, addrs...), ",")
		p.binds, p.single = v.mysqlBinds(addrs, port)
		out = append(out, p)
	}
	return out, nil
}

// mysqlAbsent is a line after the last server group's heading.
func (v *view) mysqlAbsent(main *file, all []entry, key string, port uint16) place {
	var heading *entry
	for i := range all {
		if is, _ := v.isMySQLGroup(all[i].section); is {
			heading = &all[i]
		}
	}
	var p place
	if heading != nil {
		p = insertLine(heading.f, heading.lineFrom, key+" = ", ",")
	} else {
		p = insertLine(main, len(main.data), "[mysqld]"+main.newline()+key+" = ", ",")
	}
	p.binds, p.single = v.mysqlBinds(anyAddrs(), port)
	return p
}

// mysqlBinds: "*" and "::" are one socket for both families, or, where lists
// are understood (MariaDB 10.11), one socket for each. A server that made one
// socket is not given a list, since older ones refuse it.
func (v *view) mysqlBinds(addrs []netip.Addr, port uint16) (binds []netip.AddrPort, single bool) {
	wide := addrs[0] == anyAddrs()[1] || len(addrs) == 2 && addrs[0].IsUnspecified()
	if wide && v.s.DualStack {
		return at(port, anyAddrs()...), true
	}
	return at(port, addrs...), false
}
