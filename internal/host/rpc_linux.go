package host

import (
	_ "embed"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/rpcbind"
	"golang.org/x/sys/unix"
)

//go:embed rpcprograms.txt
var programsText string

// kernelPrograms names the RPC programs that the kernel itself serves.
var kernelPrograms = sync.OnceValue(func() map[uint32]string {
	out := map[uint32]string{}
	for line := range strings.Lines(programsText) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] == "#" {
			continue
		}
		if n, err := strconv.ParseUint(f[0], 10, 32); err == nil {
			out[uint32(n)] = f[1]
		}
	}
	return out
})

// mapper is what the host's RPC port mapper has registered, and the namespace
// that it listens in.
type mapper struct {
	ns       *space
	services []rpcbind.Service
}

const (
	mapperPort   = 111
	mapperSocket = "/run/rpcbind.sock"
	mapperWait   = time.Second
)

// portMapper asks the port mapper once, and only one that runs: to connect to
// one that does not could start it.
func (v *survey) portMapper() mapper {
	if v.mapper == nil {
		m := v.askMapper()
		v.mapper = &m
	}
	return *v.mapper
}

func (v *survey) askMapper() mapper {
	for _, c := range v.sockets {
		if c.Port != mapperPort || !c.runs() {
			continue
		}
		if services, err := v.dumpMapper(c); err == nil {
			return mapper{c.ns, services}
		}
	}
	return mapper{}
}

// runs: a process other than systemd, which only waits for a client, holds it.
func (c *candidate) runs() bool {
	for _, h := range c.holders {
		if h.PID != 1 {
			return true
		}
	}
	return false
}

var errOtherMapper = errors.New("the local socket is another port mapper's")

// dumpMapper asks over the local socket, when the process behind it is one of
// those that hold the port.
func (v *survey) dumpMapper(c *candidate) ([]rpcbind.Service, error) {
	d := net.Dialer{Timeout: mapperWait}
	conn, err := d.DialContext(v.ctx, "unix", mapperSocket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(mapperWait)); err != nil {
		return nil, err
	}
	pid, err := peer(conn.(*net.UnixConn))
	if err != nil {
		return nil, err
	}
	for _, h := range c.holders {
		if h.PID == pid {
			return rpcbind.Dump(conn)
		}
	}
	return nil, errOtherMapper
}

// peer is the process that made the socket at the other end (SO_PEERCRED).
func peer(c *net.UnixConn) (int32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	return cred.Pid, nil
}

// registered reports that a socket's port is registered with the port mapper:
// a server, though the kernel chose its port.
func (v *survey) registered(c *candidate) bool {
	m := v.portMapper()
	for _, s := range m.services {
		if m.ns == c.ns && s.Port == c.Port && strings.TrimSuffix(s.NetID, "6") == string(c.Proto) {
			return true
		}
	}
	return false
}

// mapperClaims are the ports of the kernel's RPC services.
func (v *survey) mapperClaims() []kernelPort {
	m := v.portMapper()
	var out []kernelPort
	for _, s := range m.services {
		name := kernelPrograms()[s.Program]
		if name == "" || s.Port == 0 {
			continue
		}
		out = append(out, kernelPort{m.ns.inode, exposure.Proto(strings.TrimSuffix(s.NetID, "6")), s.Port,
			exposure.KernelUser{User: name, Detail: "RPC program " + strconv.FormatUint(uint64(s.Program), 10), Source: "rpcbind"}})
	}
	return out
}
