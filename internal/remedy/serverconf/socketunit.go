package serverconf

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// dropIn is our own drop-in's name: the last one that systemd reads.
const dropIn = "zz-portreeve.conf"

// isHeldBySystemd reports a socket that systemd opened by a socket unit: the
// server's own configuration has no say in its address.
func isHeldBySystemd(s *exposure.Socket) bool { return strings.HasSuffix(s.ActivatedBy, ".socket") }

// rebindUnit plans a drop-in that resets the addresses of a socket unit and
// names them all again, the socket's changed (systemd.socket(5)).
func rebindUnit(root Root, s *exposure.Socket, to []netip.Addr) ([]Edit, error) {
	v := &view{root: root, s: s, server: s.ActivatedBy, proc: &exposure.Process{}, files: map[string]*file{}}
	if !isUnitName(s.ActivatedBy) {
		return nil, v.decline("%q is no name of a socket unit", s.ActivatedBy)
	}
	names := unitFiles(root, s.ActivatedBy)
	for _, n := range names {
		v.look(n)
	}
	if len(names) == 0 {
		return nil, v.decline("the socket unit has no file that can be read")
	}
	key := "ListenStream"
	if s.Proto == exposure.UDP {
		key = "ListenDatagram"
	} else if s.Proto != exposure.TCP {
		return nil, v.decline("its transport is %s", s.Proto)
	}
	lines := unitValues(root, names, "Socket", key)
	places := v.unitPlaces(lines, unitValues(root, names, "Socket", "BindIPv6Only"))
	changed, err := v.unitChange(lines, places, to)
	if err != nil {
		return nil, err
	}
	return v.unitEdit(key, changed)
}

func isUnitName(s string) bool {
	return s == path.Base(s) && !strings.ContainsAny(s, "/ \t\n\\*?[") && strings.HasSuffix(s, ".socket")
}

// unitPlaces makes a place of each value; the value stands for a file of one
// line.
func (v *view) unitPlaces(lines, only []string) (out []place) {
	dual := len(only) == 0 || only[len(only)-1] != "ipv6-only"
	for i, text := range lines {
		f := &file{path: v.server, data: []byte(text)}
		p := place{f: f, to: len(text), dropTo: len(text), text: "Listen=" + cutText(text), binds: v.unitBinds(text, dual), scope: i + 1, form: portText}
		p.join = "\n"
		out = append(out, p)
	}
	return out
}

// unitBinds reads an address of ListenStream: "PORT" is every address of both
// families, "[::]:PORT" IPv6's, or both's unless BindIPv6Only forbids it. An
// IPv4 socket comes of a port alone only where the host has no IPv6.
func (v *view) unitBinds(text string, dual bool) []netip.AddrPort {
	host, portPart := cutPort(text)
	port, ok := portNumber(portPart)
	if !ok || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "@") || strings.HasPrefix(text, "vsock:") {
		return nil
	}
	if host == "" {
		if dual {
			return at(port, v.oneSocket()...)
		}
		return at(port, netip.IPv6Unspecified())
	}
	addrs, ok := hostAddrs(host)
	if !ok {
		return nil
	}
	if dual && addrs[0] == netip.IPv6Unspecified() && !v.s.Addr.IP.Is4() {
		return at(port, anyAddrs()...)
	}
	return at(port, addrs...)
}

func (v *view) unitChange(lines []string, places []place, to []netip.Addr) ([]string, error) {
	splices, _, err := v.narrow(places, to)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, text := range lines {
		for _, s := range splices {
			if s.f == places[i].f {
				text = s.text
			}
		}
		for part := range strings.SplitSeq(text, "\n") {
			if part != "" && !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	return out, nil
}

// unitEdit writes the drop-in, or the part of it that is about the key.
func (v *view) unitEdit(key string, values []string) ([]Edit, error) {
	unit := v.server
	name := resolve(v.root, "/etc/systemd/system/"+unit+".d/"+dropIn)
	e := Edit{
		Server: unit, Path: name, Mode: 0o644, Why: v.why(),
		Note: "systemd holds this socket: `systemctl daemon-reload` comes first, and its service, where it runs, is restarted too",
	}
	body := "# Written by portreeve close; remove this file to go back.\n[Socket]\n"
	if v.exists(name) {
		f, err := v.read(name)
		if err != nil {
			return nil, err
		}
		e.Before, e.Mode = f.data, f.mode
		body = withoutKey(f, key)
	}
	body += key + "=\n"
	for _, value := range values {
		body += key + "=" + value + "\n"
	}
	e.After = []byte(body)
	e.Reload = v.unitRestart(unit)
	return []Edit{e}, nil
}

// unitRestart restarts the socket, and its service with it where that holds
// the socket too: systemd refuses to open a socket whose service runs.
func (v *view) unitRestart(unit string) []string {
	out := []string{"systemctl", "restart", unit}
	for _, p := range v.s.Processes {
		if service := p.Unit; p.PID != 1 && strings.HasSuffix(service, ".service") && !slices.Contains(out, service) {
			out = append(out, service)
		}
	}
	return out
}

// withoutKey is a drop-in without one key's lines, ending in a newline.
func withoutKey(f *file, key string) string {
	var cuts []splice
	for _, e := range systemdSyntax().scan(f) {
		if e.section == "Socket" && e.key == key {
			cuts = append(cuts, splice{f, e.lineFrom, e.lineTo, ""})
		}
	}
	text := string(apply(f, cuts))
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}
