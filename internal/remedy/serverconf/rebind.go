package serverconf

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// setup is what a server's configuration says.
type setup struct {
	places  []place
	check   []string
	signal  string // re-reads the configuration and moves the listeners
	reload  []string
	notes   []string
	restart bool
}

// server is one that this package knows.
type server struct {
	name     string
	programs []string // names of its executable
	read     func(*view) (*setup, error)
}

// servers is the table of what is known, one file each or one row where the
// syntax is shared.
func servers() []server {
	return []server{
		{"unbound", []string{"unbound"}, readUnbound},
		{"squid", []string{"squid"}, readSquid},
		{"cups", []string{"cupsd"}, readCups},
		{"mosquitto", []string{"mosquitto"}, readMosquitto},
		{"vsftpd", []string{"vsftpd"}, readVsftpd},
		{"snmpd", []string{"snmpd"}, readSnmpd},
		{"postfix", []string{"master"}, readPostfix},
		{"dovecot", []string{"dovecot"}, readDovecot},
		{"grafana", []string{"grafana-server", "grafana"}, readGrafana},
		{"php-fpm", []string{"php-fpm", "php-fpm7.4", "php-fpm8.1", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4"}, readPHP},
		{"docker", []string{"dockerd"}, readDocker},
		{"mongodb", []string{"mongod"}, readMongo},
		{"prometheus", []string{"prometheus", "prometheus-alertmanager", "alertmanager", "prometheus-node-exporter", "node_exporter", "prometheus-pushgateway", "prometheus-blackbox-exporter"}, readExporter},
		{"nginx", []string{"nginx"}, readNginx},
		{"sshd", []string{"sshd"}, readSSHD},
		{"apache", []string{"apache2", "httpd"}, readApache},
		{"haproxy", []string{"haproxy"}, readHAProxy},
		{"lighttpd", []string{"lighttpd"}, readLighttpd},
		{"memcached", []string{"memcached"}, readMemcached},
		{"dnsmasq", []string{"dnsmasq"}, readDnsmasq},
		{"named", []string{"named"}, readNamed},
		{"postgresql", []string{"postgres", "postmaster"}, readPostgres},
		{"mysql", []string{"mysqld", "mariadbd"}, readMySQL},
		{"redis", []string{"redis-server", "valkey-server", "redis-sentinel", "keydb-server"}, readRedis},
	}
}

// Servers names the servers whose configuration is known, sorted.
func Servers() (out []string) {
	for _, k := range servers() {
		out = append(out, k.name)
	}
	slices.Sort(out)
	return out
}

// known finds the server of a socket by its process.
func known(s *exposure.Socket) (server, bool) {
	for _, p := range s.Processes {
		for _, k := range servers() {
			if slices.ContainsFunc(k.programs, func(name string) bool { return isProgram(&p, name) }) {
				return k, true
			}
		}
	}
	return server{}, false
}

// isProgram compares by the executable, and by the process name, which the
// kernel cuts to 15 bytes: an executable may have several names
// (redis-server is a link to redis-check-rdb).
func isProgram(p *exposure.Process, name string) bool {
	return path.Base(p.Exe) == name || p.Name == name || len(p.Name) == 15 && strings.HasPrefix(name, p.Name)
}

// Rebind plans the edits that bind a socket's server to the given addresses
// (for "loopback only", 127.0.0.1 and ::1, of which those of the socket's
// families are used). Nothing is written. All edits belong together.
//
// An edit is offered only where the file that makes this very socket listen is
// found for certain: what the configuration says must give the socket's
// address and port. Else the error is a *Declined (ErrNotOurs), or
// ErrUnknownServer, or ErrAlready. Other addresses and ports of the server
// stay as they are; where the server cannot say that, Note tells.
//
// The sockets of one server are planned one after the other, each on the
// Overlay of the edits before it.
func Rebind(root Root, s *exposure.Socket, to []netip.Addr) ([]Edit, error) {
	if !s.Addr.IP.IsValid() || slices.Contains(s.Uncertain, "addr") || slices.Contains(s.Uncertain, "port") {
		return nil, &Declined{Endpoint: s.Endpoint().String(), Server: "its server", Why: "its address or port is not known for certain"}
	}
	if isHeldBySystemd(s) {
		return rebindUnit(root, s, to)
	}
	k, ok := known(s)
	if !ok {
		return nil, unknown(s)
	}
	v, err := newView(root, s, k.name)
	if err != nil {
		return nil, err
	}
	set, err := k.read(v)
	if err != nil {
		return nil, err
	}
	splices, notes, err := v.narrow(set.places, to)
	if err != nil {
		return nil, err
	}
	set.notes = append(notes, set.notes...)
	return v.edits(set, splices), nil
}

// edits gathers the replacements by file.
func (v *view) edits(set *setup, splices []splice) (out []Edit) {
	byFile := map[string][]splice{}
	for _, s := range splices {
		byFile[s.f.path] = append(byFile[s.f.path], s)
	}
	for _, name := range sortedKeys(byFile) {
		f := byFile[name][0].f
		e := Edit{
			Server: v.server, Path: f.path, Before: f.data, After: apply(f, byFile[name]), Mode: f.mode,
			Check: set.check, Signal: set.signal, Reload: set.reload, RestartNeeded: set.restart,
			Why: v.why(), Note: strings.Join(set.notes, ". "),
		}
		v.activate(&e)
		out = append(out, e)
	}
	return out
}

func (v *view) why() string {
	return fmt.Sprintf("%s no longer listens on %s", v.server, exposure.HostPort(v.s.Addr, v.s.Port))
}

// activate says how the edit takes effect.
func (v *view) activate(e *Edit) {
	if unit := v.unit(); e.RestartNeeded && unit != "" {
		e.Reload = []string{"systemctl", "restart", unit}
		return
	}
	if e.Signal != "" {
		e.PIDs = []int{v.proc.PID}
	}
}

// readInclude expands an include directive's pattern relative to a folder.
func (v *view) include(dir, pattern string) []string {
	if !strings.HasPrefix(pattern, "/") {
		pattern = path.Join(dir, pattern)
	}
	v.look(pattern)
	var out []string
	for _, name := range glob(v.root, pattern, mostFiles) {
		if info, err := v.root.Stat(name); err == nil && info.Mode()&fs.ModeDir == 0 {
			out = append(out, name)
		}
	}
	return out
}

// tooDeep is the error of includes that go round.
func (v *view) tooDeep(name string) error {
	return v.decline("%s is included more than "+strconv.Itoa(mostDepth)+" levels deep", name)
}
