package serverconf

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// readDocker reads the list hosts of daemon.json (docs.docker.com, "Daemon
// configuration file").
func readDocker(v *view) (*setup, error) {
	for _, a := range v.argv {
		if strings.Contains(a, "tcp://") {
			return nil, v.decline("its command line says %s", a)
		}
	}
	name, ok := v.option("--config-file")
	if !ok {
		name = "/etc/docker/daemon.json"
	}
	f, err := v.read(v.abs(name))
	if err != nil {
		return nil, err
	}
	hosts, ok := jsonList(f.data, "hosts")
	if !ok {
		return nil, v.decline("%s is no JSON object", f.path)
	}
	set := &setup{check: []string{v.program(), "--validate", "--config-file", f.path}, restart: true, notes: []string{"a restart ends containers that have no live-restore"}}
	for _, t := range hosts {
		rest, isTCP := strings.CutPrefix(t.text, "tcp://")
		if !isTCP {
			continue
		}
		host, text := cutPort(strings.TrimSuffix(rest, "/"))
		port, ok := portNumber(text)
		if !ok {
			port = 2375
		}
		addrs := v.oneSocket()
		if host != "" && host != "0.0.0.0" {
			addrs, ok = hostAddrs(host)
		}
		p := place{f: f, from: t.from, to: t.to, text: cutText(t.text), binds: at(port, addrs...), join: `", "`, proto: exposure.TCP}
		p.form = func(b netip.AddrPort) string { return "tcp://" + portText(b) }
		if !ok {
			p.binds, p.form = v.suspect(text), nil
		}
		p.single = true
		set.places = append(set.places, p)
	}
	return set, nil
}

// jsonList finds the plain strings of a list in the outermost object; from and
// to leave the quotes out.
func jsonList(data []byte, key string) (out []token, ok bool) {
	if !json.Valid(data) {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	depth, inList, isKey, name := 0, false, false, ""
	for {
		start := dec.InputOffset()
		tok, err := dec.Token()
		if err != nil {
			return out, depth == 0
		}
		end := int(dec.InputOffset())
		switch x := tok.(type) {
		case json.Delim:
			switch x {
			case '{', '[':
				depth++
				inList = x == '[' && depth == 2 && name == key
			default:
				depth--
				inList = inList && depth >= 2
			}
			isKey = depth == 1
			continue
		case string:
			if depth == 1 && isKey {
				name, isKey = x, false
				continue
			}
			from := int(start) + bytes.IndexByte(data[start:end], '"') + 1
			if inList && depth == 2 && string(data[from:end-1]) == x {
				out = append(out, token{x, from, end - 1})
			}
		}
		isKey = depth == 1
	}
}

// yamlEntries reads the plain "key: value" lines of a YAML file; keys are the
// path of keys that they stand below, joined with dots. ok is false where the
// file uses flow style, tabs or anchors for a key that matters.
func yamlEntries(f *file) (out []entry) {
	type level struct {
		indent int
		key    string
	}
	var above []level
	for _, e := range (syntax{comments: "#", inline: true, colon: true}).scan(f) {
		indent := 0
		for f.data[e.lineFrom+indent] == ' ' {
			indent++
		}
		for len(above) > 0 && above[len(above)-1].indent >= indent {
			above = above[:len(above)-1]
		}
		above = append(above, level{indent, e.key})
		var keys []string
		for _, l := range above {
			keys = append(keys, l.key)
		}
		e.key = strings.Join(keys, ".")
		if len(above) < 32 {
			out = append(out, e)
		}
	}
	return out
}

// readMongo reads net.bindIp of mongod.conf (mongodb.com/docs, "Configuration
// File Options"): loopback without it.
func readMongo(v *view) (*setup, error) {
	for _, flag := range []string{"--bind_ip", "--bind_ip_all"} {
		if slices.ContainsFunc(v.argv, func(a string) bool { return a == flag || strings.HasPrefix(a, flag+"=") }) {
			return nil, v.decline("its command line says %s", flag)
		}
	}
	name, ok := v.option("-f", "--config")
	if !ok {
		return nil, v.decline("it was started without a configuration file")
	}
	f, err := v.read(v.abs(name))
	if err != nil {
		return nil, err
	}
	all := yamlEntries(f)
	port, err := v.portOf(all, "net.port", 27017)
	if err != nil {
		return nil, err
	}
	if e, ok := last(all, "net"); ok && e.val != "" {
		return nil, v.decline("%s writes net on one line", f.path)
	}
	if isYes(all, "net.bindIpAll") {
		return nil, v.decline("%s says bindIpAll", f.path)
	}
	set := &setup{restart: true, notes: []string{"members of a replica set that reach this one by its other addresses lose it"}}
	e, ok := last(all, "net.bindIp")
	if !ok {
		set.places = []place{loopbackDefault(f, "bindIp", port)}
		return set, nil
	}
	set.places, err = v.addressList(e, []uint16{port}, ", ", ",")
	if e.val == "*" || e.val == `"*"` || e.val == "'*'" {
		set.places, err = v.addressList(e, []uint16{port}, ", ", ",", "*")
	}
	return set, err
}

// exporterPorts are the usual ports of Prometheus and its exporters
// (github.com/prometheus/prometheus/wiki/Default-port-allocations).
func exporterPorts() map[string]uint16 {
	return map[string]uint16{"prometheus": 9090, "alertmanager": 9093, "pushgateway": 9091, "node_exporter": 9100, "blackbox_exporter": 9115, "mysqld_exporter": 9104, "postgres_exporter": 9187}
}

// readExporter reads ARGS of the file that a distribution's unit takes it
// from, and its --web.listen-address.
func readExporter(v *view) (*setup, error) {
	program := path.Base(v.program())
	short := strings.ReplaceAll(strings.TrimPrefix(program, "prometheus-"), "-", "_")
	port := exporterPorts()[short]
	name, err := v.first("/etc/default/"+program, "/etc/sysconfig/"+program, "/etc/default/prometheus-"+strings.ReplaceAll(short, "_", "-"))
	if err != nil {
		return nil, err
	}
	f, err := v.read(name)
	if err != nil {
		return nil, err
	}
	const flag = "--web.listen-address"
	started := &view{argv: []string{""}}
	for _, w := range assignedWords(v.started(f), "ARGS") {
		started.argv = append(started.argv, w.text)
	}
	now, _ := v.option(flag)
	if said, _ := started.option(flag); said != now {
		return nil, v.decline("it was started with %s=%s, and %s says %q", flag, now, f.path, said)
	}
	set := &setup{restart: true, notes: []string{"a Prometheus elsewhere reads it no more"}}
	words := assignedWords(f, "ARGS")
	for _, w := range words {
		value, isIt := strings.CutPrefix(w.text, flag+"=")
		if !isIt {
			continue
		}
		p, err := v.socketLine(entry{f: f, key: flag, lineFrom: w.from, lineTo: w.to}, token{value, w.to - len(value), w.to}, v.oneSocket(), port)
		if err != nil {
			return nil, err
		}
		p.from, p.to, p.single, p.proto = w.to-len(value), w.to, true, exposure.TCP
		if p.form != nil {
			p.form = portText
		}
		set.places = append(set.places, p)
	}
	if set.places == nil {
		p, ok := argsAbsent(f, words, flag+"=")
		if !ok || port == 0 {
			return nil, v.decline("%s has no ARGS, or its usual port is not known", f.path)
		}
		p.binds, p.proto = at(port, v.oneSocket()...), exposure.TCP
		set.places = []place{p}
	}
	return set, nil
}

// argsAbsent is the spot for one more word of ARGS="…".
func argsAbsent(f *file, words []token, flag string) (place, bool) {
	p := place{f: f, form: portText, single: true, text: "ARGS without " + flag}
	if len(words) > 0 {
		p.from, p.before = words[len(words)-1].to, " "+flag
		p.to = p.from
		return p, true
	}
	e, ok := last((syntax{comments: "#", equals: true}).scan(f), "ARGS")
	if !ok {
		return p, false
	}
	p.from, p.to, p.before, p.after = e.from, e.to, `"`+flag, `"`
	return p, true
}
