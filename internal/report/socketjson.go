package report

import (
	"slices"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// AppendSocket writes one socket as the contract's JSON object. It says what
// json.Marshal of the value says (tested), without the cost: a host may have
// 100,000 of them.
func AppendSocket(dst []byte, s *exposure.Socket) []byte {
	known := func(name string) bool { return len(s.Uncertain) == 0 || !slices.Contains(s.Uncertain, name) }
	dst = appendField(append(dst, '{'), "proto", string(s.Proto))
	dst = appendField(dst, "state", string(s.State))
	dst = appendEnd(dst, "addr", "port", s.Addr, s.Port, known("addr"), known("port"))
	dst = appendEnd(dst, "peer_addr", "peer_port", s.PeerAddr, s.PeerPort, known("peer_addr"), known("peer_port"))
	dst = appendField(dst, "scope", string(s.Scope))
	dst = appendBool(dst, "dual_stack", s.DualStack)
	dst = appendField(dst, "device", s.Device)
	dst = appendField(append(dst, `"netns":{`...), "id", s.NetNS.ID)
	dst = append(trimLast(appendField(dst, "name", s.NetNS.Name)), '}', ',')
	dst = append(dst, `"processes":[`...)
	for i := range s.Processes {
		dst = append(appendProcess(dst, &s.Processes[i]), ',')
	}
	dst = append(closeList(dst), ',')
	dst = appendField(dst, "unit", s.Unit)
	dst = appendField(dst, "activated_by", s.ActivatedBy)
	dst = appendField(dst, "package", s.Package)
	dst = appendContainer(dst, s.Container)
	dst = appendKernel(dst, s.Kernel)
	dst = appendUint(dst, "sockets", uint64(s.Sockets))
	dst = appendInodes(dst, s.Inodes)
	dst = appendField(dst, "service", s.Service)
	dst = appendStrings(dst, "uncertain", s.Uncertain)
	return append(trimLast(appendExtras(dst, s)), '}')
}

func appendExtras(dst []byte, s *exposure.Socket) []byte {
	if s.MPTCP {
		dst = appendBool(dst, "mptcp", true)
	}
	for _, f := range [...]struct{ k, v string }{{"filter", s.Filter}, {"owner_unknown", s.OwnerUnknown}, {"package_unknown", s.PackageUnknown}} {
		if f.v != "" {
			dst = appendField(dst, f.k, f.v)
		}
	}
	dst = appendUint(dst, "uid", uint64(s.UID))
	if s.SegsIn != 0 {
		dst = appendUint(dst, "segs_in", s.SegsIn)
	}
	if s.SegsOut != 0 {
		dst = appendUint(dst, "segs_out", s.SegsOut)
	}
	return dst
}

func appendProcess(dst []byte, p *exposure.Process) []byte {
	dst = appendUint(append(dst, '{'), "pid", uint64(p.PID))
	dst = appendField(dst, "name", p.Name)
	dst = appendField(dst, "exe", p.Exe)
	dst = appendField(dst, "cmdline", p.Cmdline)
	dst = appendField(dst, "user", p.User)
	dst = appendUint(dst, "uid", uint64(p.UID))
	dst = appendKey(dst, "fd")
	dst = append(strconv.AppendInt(dst, int64(p.FD), 10), ',')
	for _, f := range [...]struct {
		k string
		v bool
	}{{"exe_deleted", p.Deleted}, {"exe_replaced", p.Replaced}, {"exe_writable", p.Writable}, {"exe_unpackaged", p.Unpackaged}} {
		if f.v {
			dst = appendBool(dst, f.k, true)
		}
	}
	for _, f := range [...]struct{ k, v string }{{"exe_writable_why", p.WritableWhy}, {"exe_writable_path", p.WritablePath}, {"package", p.Package}, {"unit", p.Unit}} {
		if f.v != "" {
			dst = appendField(dst, f.k, f.v)
		}
	}
	if !p.Started.IsZero() {
		dst = append(p.Started.AppendFormat(append(appendKey(dst, "started"), '"'), time.RFC3339Nano), '"', ',')
	}
	return append(trimLast(dst), '}')
}

func appendEnd(dst []byte, addrKey, portKey string, a exposure.Address, port uint16, addrKnown, portKnown bool) []byte {
	if addrKnown && !a.IsZero() {
		dst = appendKey(dst, addrKey)
		if a.IP.IsValid() && a.IP.Zone() == "" {
			dst = append(a.IP.AppendTo(append(dst, '"')), '"', ',')
		} else {
			dst = append(appendString(dst, a.String()), ',')
		}
	}
	if portKnown {
		dst = appendUint(dst, portKey, uint64(port))
	}
	return dst
}

func appendContainer(dst []byte, c *exposure.Container) []byte {
	dst = appendKey(dst, "container")
	if c == nil {
		return append(dst, "null,"...)
	}
	dst = appendField(append(dst, '{'), "id", c.ID)
	dst = appendField(dst, "name", c.Name)
	dst = appendField(dst, "runtime", c.Runtime)
	return append(trimLast(dst), '}', ',')
}

func appendKernel(dst []byte, k *exposure.KernelUser) []byte {
	dst = appendKey(dst, "kernel")
	if k == nil {
		return append(dst, "null,"...)
	}
	dst = appendField(append(dst, '{'), "user", k.User)
	dst = appendField(dst, "detail", k.Detail)
	dst = appendField(dst, "source", k.Source)
	return append(trimLast(dst), '}', ',')
}

func appendInodes(dst []byte, inodes []uint64) []byte {
	dst = append(appendKey(dst, "inodes"), '[')
	for _, n := range inodes {
		dst = append(strconv.AppendUint(dst, n, 10), ',')
	}
	return append(closeList(dst), ',')
}

func appendStrings(dst []byte, key string, list []string) []byte {
	dst = append(appendKey(dst, key), '[')
	for _, s := range list {
		dst = append(appendString(dst, s), ',')
	}
	return append(closeList(dst), ',')
}

// Keys are our own words and need no escaping; every field ends in a comma.

func appendKey(dst []byte, key string) []byte {
	return append(append(append(dst, '"'), key...), '"', ':')
}

func appendField(dst []byte, key, value string) []byte {
	return append(appendString(appendKey(dst, key), value), ',')
}

func appendUint(dst []byte, key string, n uint64) []byte {
	return append(strconv.AppendUint(appendKey(dst, key), n, 10), ',')
}

func appendBool(dst []byte, key string, v bool) []byte {
	return append(strconv.AppendBool(appendKey(dst, key), v), ',')
}

func trimLast(dst []byte) []byte {
	if dst[len(dst)-1] == ',' {
		return dst[:len(dst)-1]
	}
	return dst
}

func closeList(dst []byte) []byte { return append(trimLast(dst), ']') }
