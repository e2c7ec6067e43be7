package remedy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/scan/route"
)

// Session is a remote session that must not be cut.
type Session struct {
	Peer, Local netip.AddrPort
	// Device is the interface that its packets arrive on, by the route back;
	// "" when not known.
	Device string
	// Own: this process runs in it. How says from what it is known.
	Own bool
	How string
}

func (s Session) String() string {
	return fmt.Sprintf("%s to %s (%s)", s.Peer, s.Local, s.How)
}

// found is what was found of sessions.
type found struct {
	sessions []Session
	notes    []string
}

// sessions finds the remote sessions of this network namespace: SSH_CONNECTION
// of this process and its ancestors (sudo clears it, its parent has it), and
// the connections that sshd holds.
func sessions(ctx context.Context, m Machine) (*found, error) {
	f := &found{}
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return nil, fail(Failed, "the addresses of this host could not be read", err)
	}
	line := ancestors(m.Proc)
	f.environment(m.Proc, line, addrs)
	if err := f.connections(ctx, m, line); err != nil {
		return nil, err
	}
	f.routes()
	return f, nil
}

// ancestor is a process on the way to the first one.
type ancestor struct {
	pid     int
	dir     string
	netns   string
	environ []byte
}

// ancestors lists this process, its parent, and so on.
func ancestors(proc string) (out []ancestor) {
	const most = 1000
	for pid := os.Getpid(); pid > 0 && len(out) < most; {
		a := ancestor{pid: pid, dir: filepath.Join(proc, strconv.Itoa(pid))}
		a.netns, _ = os.Readlink(filepath.Join(a.dir, "ns", "net"))
		a.environ, _ = os.ReadFile(filepath.Join(a.dir, "environ"))
		out = append(out, a)
		pid = parent(a.dir)
	}
	return out
}

// parent reads the fourth field of /proc/PID/stat (proc(5)); the second is a
// name in brackets that may hold anything.
func parent(dir string) int {
	data, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 2 {
		return 0
	}
	pid, _ := strconv.Atoi(string(f[1]))
	return pid
}

// environment takes SSH_CONNECTION (ssh(1): client, its port, server, its
// port). A session belongs to the namespace of the oldest process that has
// it, which is nearest to sshd.
func (f *found) environment(proc string, line []ancestor, addrs []host.Address) {
	here, _ := os.Readlink(filepath.Join(proc, "thread-self", "ns", "net"))
	oldest := map[Session]ancestor{}
	var order []Session
	for _, a := range line {
		s, ok := connection(a.environ)
		if !ok {
			continue
		}
		if _, seen := oldest[s]; !seen {
			order = append(order, s)
		}
		oldest[s] = a
	}
	for _, s := range order {
		a := oldest[s]
		own := slices.ContainsFunc(addrs, func(x host.Address) bool { return x.Addr.WithZone("") == s.Local.Addr().WithZone("") })
		if !own && a.netns != "" && here != "" && a.netns != here && a.pid != os.Getpid() {
			f.notes = append(f.notes, "the session "+s.String()+" is in another network namespace: these rules do not concern it")
			continue
		}
		f.add(s)
	}
}

// connection reads SSH_CONNECTION from an environment.
func connection(environ []byte) (Session, bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		value, ok := strings.CutPrefix(string(entry), "SSH_CONNECTION=")
		if !ok {
			continue
		}
		w := strings.Fields(value)
		if len(w) != 4 {
			return Session{}, false
		}
		peer, err := addrPort(w[0], w[1])
		local, err2 := addrPort(w[2], w[3])
		return Session{Peer: peer, Local: local, Own: true, How: "SSH_CONNECTION"}, err == nil && err2 == nil
	}
	return Session{}, false
}

func addrPort(addr, port string) (netip.AddrPort, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), err
}

// add adds a session that is not there yet.
func (f *found) add(s Session) {
	i := slices.IndexFunc(f.sessions, func(x Session) bool { return x.Peer == s.Peer && x.Local == s.Local })
	if i < 0 {
		f.sessions = append(f.sessions, s)
		return
	}
	f.sessions[i].Own = f.sessions[i].Own || s.Own
}

// connections finds what sshd holds. Owners are looked for only where there is
// a connection to a listening port.
func (f *found) connections(ctx context.Context, m Machine, line []ancestor) error {
	served, err := servedPorts(m.Proc)
	if err == nil && len(served) == 0 {
		return nil
	}
	var r host.Reader
	snap, err := r.Snapshot(ctx, host.Options{All: true, NetNS: host.SelfNetNS})
	if err != nil {
		return fail(Failed, "the connections of this host could not be read", err)
	}
	listening := map[uint16]bool{}
	for i := range snap.Sockets {
		if s := &snap.Sockets[i]; s.Proto == exposure.TCP && s.State == exposure.Listen {
			listening[s.Port] = true
		}
	}
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if s.Proto == exposure.TCP && s.State == exposure.Established && listening[s.Port] {
			f.connection(s, line)
		}
	}
	return nil
}

// States of /proc/net/tcp (net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// servedPorts are the listening TCP ports that have a connection now.
func servedPorts(proc string) (map[uint16]bool, error) {
	listening, connected := map[uint16]bool{}, map[uint16]bool{}
	dir := procfs.Dir{Root: filepath.Join(proc, "thread-self")}
	for _, name := range []string{"tcp", "tcp6"} {
		skipped, err := dir.Inet(name, func(e *procfs.Entry) error {
			switch e.State {
			case tcpListen:
				listening[e.Local.Port()] = true
			case tcpEstablished:
				connected[e.Local.Port()] = true
			}
			return nil
		})
		if err == nil && skipped.Count > 0 {
			err = errors.New("net/" + name + ": " + skipped.String())
		}
		if err != nil && (name == "tcp" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	maps.DeleteFunc(connected, func(port uint16, _ bool) bool { return !listening[port] })
	return connected, nil
}

func (f *found) connection(s *exposure.Socket, line []ancestor) {
	holder := slices.IndexFunc(s.Processes, isLogin)
	if holder < 0 || !s.Addr.IP.IsValid() || !s.PeerAddr.IP.IsValid() {
		return
	}
	own := slices.ContainsFunc(s.Processes, func(p exposure.Process) bool {
		return slices.ContainsFunc(line, func(a ancestor) bool { return a.pid == p.PID })
	})
	out := Session{Peer: netip.AddrPortFrom(s.PeerAddr.IP.Unmap(), s.PeerPort), Local: netip.AddrPortFrom(s.Addr.IP.Unmap(), s.Port),
		Own: own, How: s.Processes[holder].Name + " holds it"}
	if !own && stillAuthenticating(s.Processes) {
		f.notes = append(f.notes, fmt.Sprintf("%s at %s has not logged in: not counted as a session", out.Peer, out.Local))
		return
	}
	f.add(out)
}

// isLogin reports a server of remote shells.
func isLogin(p exposure.Process) bool {
	return strings.HasPrefix(p.Name, "sshd") || strings.HasPrefix(p.Name, "dropbear")
}

// stillAuthenticating tells from sshd's titles ("sshd: [accepted]",
// "sshd: root [net]") that nobody has logged in; after that one of them reads
// "sshd: name@pts/0".
func stillAuthenticating(ps []exposure.Process) bool {
	sign := false
	for _, p := range ps {
		title := p.Cmdline
		if strings.Contains(title, "@") {
			return false
		}
		for _, mark := range []string{"[accepted]", "[net]", "[preauth]"} {
			sign = sign || strings.Contains(title, mark)
		}
	}
	return sign
}

// routes finds the interface of each session: that of the route back.
func (f *found) routes() {
	for i := range f.sessions {
		s := &f.sessions[i]
		switch {
		case s.Peer.Addr().IsLoopback() || s.Peer.Addr() == s.Local.Addr():
			s.Device = "lo"
		case s.Peer.Addr().Zone() != "":
			s.Device = s.Peer.Addr().Zone()
		default:
			s.Device = device(s.Peer.Addr())
		}
	}
}

func device(peer netip.Addr) string {
	t, err := route.Open(route.Options{})
	if err != nil {
		return ""
	}
	defer t.Close()
	p, err := t.Path(peer)
	switch {
	case err != nil:
		return ""
	case p.Local:
		return "lo"
	}
	return p.Iface
}
