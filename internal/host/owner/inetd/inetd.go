package inetd

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// Service is one configured service.
type Service struct {
	Name    string
	Proto   exposure.Proto // tcp or udp
	Port    uint16
	Program string // the server's file, "internal" for one of the super-server
	User    string
	Source  string // the file that says so
}

// Services holds what is configured, by super-server.
type Services struct{ inetd, xinetd []Service }

const (
	maxFile     = 4 << 20
	maxServices = 1 << 14
)

// Read reads the configuration of a root; what is not there is empty.
func Read(files *rootfs.FS) Services {
	text := func(name string) string {
		b, err := files.ReadFile(name, maxFile)
		if err != nil {
			return ""
		}
		return string(b)
	}
	ports := parsePorts(text("/etc/services"))
	var s Services
	for _, file := range append([]string{"/etc/inetd.conf"}, within(files, "/etc/inetd.d")...) {
		s.inetd = append(s.inetd, parseInetd(text(file), file, ports)...)
	}
	for _, file := range append([]string{"/etc/xinetd.conf"}, within(files, "/etc/xinetd.d")...) {
		s.xinetd = append(s.xinetd, parseXinetd(text(file), file, ports)...)
	}
	return s
}

// within lists the files of a folder that super-servers include: no backup
// and no hidden ones.
func within(files *rootfs.FS, dir string) []string {
	names, err := files.ReadDir(dir)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	var list []string
	for _, name := range names {
		if !strings.ContainsAny(name, ".~") && len(list) < maxServices {
			list = append(list, path.Join(dir, name))
		}
	}
	return list
}

// Find gives the service that a super-server, named as its process is, holds a
// port for.
func (s Services) Find(process string, proto exposure.Proto, port uint16) (Service, bool) {
	list := s.inetd
	switch {
	case process == "xinetd":
		list = s.xinetd
	case !strings.HasSuffix(process, "inetd"):
		return Service{}, false
	}
	for _, service := range list {
		if service.Proto == proto && service.Port == port {
			return service, true
		}
	}
	return Service{}, false
}

// ports maps "name/proto" to a port.
type ports map[string]uint16

// parsePorts reads a services file: name, port/proto, aliases, comment.
func parsePorts(text string) ports {
	p := ports{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		number, proto, _ := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil || len(p) >= maxServices*4 {
			continue
		}
		for _, name := range append(fields[2:], fields[0]) {
			if _, known := p[name+"/"+proto]; !known {
				p[name+"/"+proto] = uint16(port)
			}
		}
	}
	return p
}

func (p ports) of(name string, proto exposure.Proto) (uint16, bool) {
	if port, err := strconv.ParseUint(name, 10, 16); err == nil {
		return uint16(port), port > 0
	}
	port, ok := p[name+"/"+string(proto)]
	return port, ok
}

// transport reads "tcp", "tcp6", "udp46" and the like.
func transport(s string) exposure.Proto {
	s, _, _ = strings.Cut(s, ",")
	switch strings.TrimRight(s, "46") {
	case "tcp":
		return exposure.TCP
	case "udp":
		return exposure.UDP
	}
	return ""
}

// parseInetd reads lines of service, kind, protocol, wait, user, program and
// its arguments.
func parseInetd(text, source string, known ports) []Service {
	var list []Service
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 || strings.HasPrefix(fields[0], "#") || len(list) >= maxServices {
			continue
		}
		name := fields[0][strings.LastIndexByte(fields[0], ':')+1:] // after an address
		user, _, _ := strings.Cut(strings.ReplaceAll(fields[4], ".", ":"), ":")
		s := Service{Name: name, Proto: transport(fields[2]), Program: fields[5], User: user, Source: source}
		var ok bool
		if s.Port, ok = known.of(name, s.Proto); ok && s.Proto != "" {
			list = append(list, s)
		}
	}
	return list
}

// parseXinetd reads blocks "service NAME { key = value … }".
func parseXinetd(text, source string, known ports) []Service {
	var list []Service
	var name string
	var block map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#") || line == "":
		case strings.HasPrefix(line, "service ") || strings.HasPrefix(line, "service\t"):
			name, block = strings.TrimSpace(strings.TrimRight(line[len("service"):], "{ \t")), map[string]string{}
		case strings.HasPrefix(line, "}"):
			if s, ok := xinetdService(name, source, block, known); ok && len(list) < maxServices {
				list = append(list, s)
			}
			block = nil
		case block != nil:
			key, value, _ := strings.Cut(line, "=")
			block[strings.TrimSpace(strings.TrimRight(key, "+- \t"))] = strings.TrimSpace(value)
		}
	}
	return list
}

func xinetdService(name, source string, block map[string]string, known ports) (Service, bool) {
	if block == nil || name == "" || block["disable"] == "yes" {
		return Service{}, false
	}
	s := Service{Name: name, Program: block["server"], User: block["user"], Source: source, Proto: transport(block["protocol"])}
	if s.Proto == "" {
		s.Proto = map[string]exposure.Proto{"stream": exposure.TCP, "dgram": exposure.UDP}[block["socket_type"]]
	}
	if strings.Contains(block["type"], "INTERNAL") {
		s.Program = "internal"
	}
	port := block["port"]
	if port == "" {
		port = name
	}
	var ok bool
	s.Port, ok = known.of(port, s.Proto)
	return s, ok && s.Proto != ""
}
