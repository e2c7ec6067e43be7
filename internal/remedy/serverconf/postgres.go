package serverconf

import (
	"path"
	"slices"
	"strings"
)

func postgresSyntax() syntax { return syntax{comments: "#", inline: true, equals: true, fold: true} }

// readPostgres reads postgresql.conf, what it includes, and the data folder's
// postgresql.auto.conf, which overrides it (postgresql.org/docs, "Setting
// Parameters"); the last listen_addresses holds, and the command line before
// all.
func readPostgres(v *view) (*setup, error) {
	data, conf, err := v.postgresFiles()
	if err != nil {
		return nil, err
	}
	main, err := v.read(conf)
	if err != nil {
		return nil, err
	}
	all, err := v.postgresEntries(main, 0)
	if err != nil {
		return nil, err
	}
	if e, ok := last(all, "data_directory"); ok {
		data, _ = unquote(e.val)
	}
	if auto := path.Join(data, "postgresql.auto.conf"); v.exists(auto) {
		f, err := v.read(auto)
		if err != nil {
			return nil, err
		}
		all = append(all, postgresSyntax().scan(f)...)
	}
	set := &setup{check: []string{v.program(), "-C", "listen_addresses", "-D", data, "-c", "config_file=" + conf}, restart: true}
	set.notes = []string{"a restart ends every connection"}
	port, err := v.postgresPort(all)
	if err != nil {
		return nil, err
	}
	set.places, err = v.postgresPlaces(main, all, port)
	if e, ok := last(all, "listen_addresses"); ok && path.Base(e.f.path) == "postgresql.auto.conf" {
		set.notes = append(set.notes, "the setting stands in postgresql.auto.conf, which ALTER SYSTEM writes")
	}
	return set, err
}

// parameter finds "-c name=value" or "--name=value" on the command line.
func (v *view) parameter(name string) (value string, found bool) {
	for i, a := range v.argv {
		text, long := strings.CutPrefix(a, "--")
		if a == "-c" && i+1 < len(v.argv) {
			text, long = v.argv[i+1], true
		}
		key, val, ok := strings.Cut(text, "=")
		if long && ok && strings.ReplaceAll(key, "-", "_") == name {
			value, found = val, true
		}
	}
	return value, found
}

// postgresFiles finds the data folder and the configuration file.
func (v *view) postgresFiles() (data, conf string, err error) {
	data, ok := v.option("-D")
	if !ok {
		data = v.cwd // the server works in its data folder
	}
	if data == "" {
		return "", "", v.decline("neither its command line nor its working folder names the data folder")
	}
	data = v.abs(data)
	conf, ok = v.parameter("config_file")
	if !ok {
		conf = path.Join(data, "postgresql.conf")
	}
	for _, flag := range []string{"-h", "-i"} {
		if slices.Contains(v.argv, flag) {
			return "", "", v.decline("its command line says %s", flag)
		}
	}
	if _, set := v.parameter("listen_addresses"); set {
		return "", "", v.decline("its command line says listen_addresses")
	}
	return data, v.abs(conf), nil
}

func (v *view) postgresEntries(f *file, depth int) (out []entry, err error) {
	if depth > mostDepth {
		return nil, v.tooDeep(f.path)
	}
	for _, e := range postgresSyntax().scan(f) {
		name, _ := unquote(e.val)
		var names []string
		switch e.key {
		case "include", "include_if_exists":
			if !strings.HasPrefix(name, "/") {
				name = path.Join(path.Dir(f.path), name)
			}
			if e.key == "include" || v.exists(name) {
				names = []string{name}
			}
		case "include_dir":
			names = v.include(path.Dir(f.path), name+"/*.conf")
		default:
			out = append(out, e)
			continue
		}
		for _, n := range names {
			sub, err := v.read(n)
			if err != nil {
				return nil, err
			}
			more, err := v.postgresEntries(sub, depth+1)
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

func (v *view) postgresPort(all []entry) (uint16, error) {
	text := "5432"
	if e, ok := last(all, "port"); ok {
		text, _ = unquote(e.val)
	}
	if t, ok := v.option("-p"); ok {
		text = t
	}
	if t, ok := v.parameter("port"); ok {
		text = t
	}
	n, ok := portNumber(text)
	if !ok {
		return 0, v.decline("its port %q is no number", text)
	}
	return n, nil
}

// postgresPlaces reads a list such as 'localhost, 10.0.0.1' or '*'.
func (v *view) postgresPlaces(main *file, all []entry, port uint16) (out []place, err error) {
	e, ok := last(all, "listen_addresses")
	if !ok {
		p := place{f: main, from: 0, text: "no listen_addresses, whose default is localhost", binds: at(port, onlyAddrs("127.0.0.1", "::1")...)}
		return []place{p}, nil
	}
	if e.val == "*" || !strings.HasPrefix(e.val, "'") && len(e.tokens(", ")) != 1 {
		return nil, v.decline("%s says listen_addresses = %s, which is not in quotes", e.f.path, e.val)
	}
	quoted := strings.HasPrefix(e.val, "'")
	for _, t := range e.tokens(", \t") {
		addrs, ok := dualNames("*")(t.text)
		if !ok {
			return nil, v.decline("listen_addresses names %q, which is no address", t.text)
		}
		p := listPlace(e, t, at(port, addrs...), ", ")
		if !quoted {
			p.before, p.after = "'", "'"
		}
		out = append(out, p)
	}
	return out, nil
}
