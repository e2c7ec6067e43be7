package serverconf

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// RemoveInetd plans the edits that take the entry behind a super-server's
// socket out of its configuration: a line of inetd.conf becomes a comment, a
// service of xinetd gets "disable = yes". Nothing is written.
//
// The entry must name the socket's port and transport, by number or by
// /etc/services; else the error is a *Declined, or ErrUnknownServer where the
// socket is not held by inetd or xinetd.
func RemoveInetd(root Root, s *exposure.Socket) ([]Edit, error) {
	name := superServer(s)
	if name == "" {
		return nil, unknown(s)
	}
	v, err := newView(root, s, name)
	if err != nil {
		return nil, err
	}
	if name == "xinetd" {
		return v.removeXinetd()
	}
	return v.removeInetd()
}

// superServer is inetd or xinetd, whichever holds the socket, or "".
func superServer(s *exposure.Socket) string {
	for i := range s.Processes {
		switch p := &s.Processes[i]; {
		case isProgram(p, "xinetd"):
			return "xinetd"
		case isProgram(p, "inetd"), isProgram(p, "openbsd-inetd"), isProgram(p, "inetutils-inetd"), isProgram(p, "rlinetd"):
			return "inetd"
		}
	}
	return ""
}

func (v *view) inetdEdit(f *file, splices []splice, why string) Edit {
	return Edit{
		Server: v.server, Path: f.path, Before: f.data, After: apply(f, splices), Mode: f.mode,
		Signal: "HUP", PIDs: []int{v.proc.PID}, Why: why,
		Note: "a connection that is open goes on; only new ones are refused",
	}
}

// removeInetd reads inetd.conf(5) and the files of inetd.d.
func (v *view) removeInetd() ([]Edit, error) {
	files, err := v.inetdFiles()
	if err != nil {
		return nil, err
	}
	services := v.services()
	var out []Edit
	for _, f := range files {
		var cuts []splice
		for _, e := range (syntax{comments: "#"}).scan(f) {
			if f.data[e.lineFrom] != ' ' && f.data[e.lineFrom] != '\t' && v.isEntry(e, services) {
				cuts = append(cuts, splice{f, e.lineFrom, e.lineFrom, "#"})
			}
		}
		if len(cuts) > 0 {
			out = append(out, v.inetdEdit(f, cuts, fmt.Sprintf("inetd opens port %d no more", v.s.Port)))
		}
	}
	if len(out) == 0 {
		return nil, v.decline("no entry there is for %s port %d", v.s.Proto, v.s.Port)
	}
	return out, nil
}

// inetdFiles are those of the command line, else the default ones.
func (v *view) inetdFiles() (out []*file, err error) {
	var names []string
	for _, a := range v.argv[min(1, len(v.argv)):] {
		if strings.HasPrefix(a, "/") {
			names = append(names, a)
		}
	}
	if len(names) == 0 {
		names = []string{"/etc/inetd.conf"}
	}
	for _, n := range names {
		if !v.exists(n) {
			v.look(n)
			continue
		}
		if info, err := v.root.Stat(n); err == nil && info.IsDir() {
			names = append(names, v.include(n, "*")...)
			continue
		}
		f, err := v.read(n)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for _, n := range v.include("/etc/inetd.d", "*") {
		f, err := v.read(n)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, v.decline("none of its files is there")
	}
	return out, nil
}

// isEntry reads "[address:]service  stream|dgram  tcp|tcp4|tcp6|tcp46|udp…
// wait user program args".
func (v *view) isEntry(e entry, services map[string]uint16) bool {
	fields := strings.Fields(e.val)
	if len(fields) < 4 {
		return false
	}
	proto, family := strings.TrimRight(fields[1], "46"), strings.TrimLeft(fields[1], "tcpud")
	if proto != string(v.s.Proto) || !v.isFamily(family) {
		return false
	}
	name := e.key
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		if !v.isOwn(name[:i]) {
			return false
		}
		name = name[i+1:]
	}
	port, ok := portNumber(name)
	if !ok {
		port, ok = services[name+"/"+proto]
	}
	return ok && port == v.s.Port
}

// isFamily: "4" and "6" are of one family, "46" and "" may be either.
func (v *view) isFamily(family string) bool {
	is4 := v.s.Addr.IP.Unmap().Is4()
	return family == "" || family == "46" || family == "4" && is4 || family == "6" && !is4
}

// isOwn compares an entry's address with the socket's.
func (v *view) isOwn(host string) bool {
	if host == "*" || host == "" {
		return v.s.Addr.IP.IsUnspecified()
	}
	addrs, ok := hostAddrs(host)
	return ok && slices.Contains(addrs, v.s.Addr.IP.Unmap().WithZone(""))
}

// services reads /etc/services (services(5)) as "name/proto" → port, aliases
// included.
func (v *view) services() map[string]uint16 {
	out := map[string]uint16{}
	f, err := v.read("/etc/services")
	if err != nil {
		return out
	}
	for line := range bytes.Lines(f.data) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		text, proto, _ := strings.Cut(fields[1], "/")
		port, ok := portNumber(text)
		for _, name := range append(fields[2:], fields[0]) {
			if _, known := out[name+"/"+proto]; ok && !known {
				out[name+"/"+proto] = port
			}
		}
	}
	return out
}

// xinetdService is one service block of xinetd.conf(5).
type xinetdService struct {
	f        *file
	name     string
	open     int // first byte of the line after "{"
	settings map[string]entry
}

func (v *view) removeXinetd() ([]Edit, error) {
	conf := "/etc/xinetd.conf"
	if name, ok := v.option("-f", "-filename"); ok && !strings.HasPrefix(name, "ilename") {
		conf = v.abs(name)
	}
	blocks, err := v.xinetdBlocks(conf, 0)
	if err != nil {
		return nil, err
	}
	services := v.services()
	var out []Edit
	for _, b := range blocks {
		if !v.isXinetd(b, services) {
			continue
		}
		s := splice{b.f, b.open, b.open, "\tdisable = yes" + b.f.newline()}
		if e, set := b.settings["disable"]; set {
			s = splice{b.f, e.from, e.to, "yes"}
		}
		out = append(out, v.inetdEdit(b.f, []splice{s}, "xinetd serves "+b.name+" no more"))
	}
	if len(out) == 0 {
		return nil, v.decline("no enabled service there is for %s port %d", v.s.Proto, v.s.Port)
	}
	if len(out) > 1 {
		return nil, v.decline("%d services there are for %s port %d, and which of them holds the socket is not known", len(out), v.s.Proto, v.s.Port)
	}
	return out, nil
}

func (v *view) xinetdBlocks(name string, depth int) ([]xinetdService, error) {
	if depth > mostDepth {
		return nil, v.tooDeep(name)
	}
	f, err := v.read(name)
	if err != nil {
		return nil, err
	}
	var out []xinetdService
	inside := false
	for _, e := range (syntax{comments: "#", equals: true}).scan(f) {
		switch {
		case e.key == "{":
			inside = len(out) > 0
			if len(out) > 0 && out[len(out)-1].f == f {
				out[len(out)-1].open = e.lineTo
			}
		case e.key == "}":
			inside = false
		case inside:
			if b := &out[len(out)-1]; b.f == f {
				b.settings[strings.TrimRight(e.key, "+-")] = e
			}
		case e.key == "service" || e.key == "defaults":
			out = append(out, xinetdService{f: f, name: e.val, settings: map[string]entry{}})
			if e.key == "defaults" {
				out[len(out)-1].name = ""
			}
		case e.key == "include" || e.key == "includedir":
			more, err := v.xinetdInclude(e, depth)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

// xinetdInclude reads a file, or a folder's files: those with a dot in their
// name and those ending in ~ are left out.
func (v *view) xinetdInclude(e entry, depth int) (out []xinetdService, err error) {
	names := []string{v.abs(e.val)}
	if e.key == "includedir" {
		names = slices.DeleteFunc(v.include(v.abs(e.val), "*"), func(n string) bool {
			return strings.Contains(path.Base(n), ".") || strings.HasSuffix(n, "~")
		})
	}
	for _, n := range names {
		more, err := v.xinetdBlocks(n, depth+1)
		if err != nil {
			return nil, err
		}
		if out = append(out, more...); len(out) > 1<<14 {
			return nil, v.tooDeep(n)
		}
	}
	return out, nil
}

// isXinetd reports an enabled service on the socket.
func (v *view) isXinetd(b xinetdService, services map[string]uint16) bool {
	get := func(key string) string { return strings.ToLower(b.settings[key].val) }
	if b.name == "" || b.open == 0 || get("disable") == "yes" {
		return false
	}
	proto := get("protocol")
	if proto == "" {
		proto = map[string]string{"stream": "tcp", "dgram": "udp"}[get("socket_type")]
	}
	if strings.TrimRight(proto, "6") != string(v.s.Proto) {
		return false
	}
	port, ok := services[b.name+"/"+string(v.s.Proto)]
	if text := get("port"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		port, ok = uint16(n), err == nil
	}
	if !ok || port != v.s.Port {
		return false
	}
	for _, key := range []string{"bind", "interface"} {
		if host := get(key); host != "" && !v.isOwn(host) {
			return false
		}
	}
	return true
}
