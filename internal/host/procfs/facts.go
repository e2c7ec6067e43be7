package procfs

import (
	"bytes"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// ParseProtocols reads net/protocols: the names of the protocols that the
// kernel has, as "TCP", "UDP-Lite", "SCTP", "DCCPv6", "MPTCP".
func ParseProtocols(r io.Reader) ([]string, error) {
	var names []string
	_, err := eachLine(r, true, func(line []byte) error {
		f := fields{line}
		if name := f.next(); len(name) > 0 {
			names = append(names, string(name))
		}
		return nil
	})
	return names, err
}

// ParsePortRange reads sys/net/ipv4/ip_local_port_range: the first and last
// port that the kernel chooses by itself.
func ParsePortRange(r io.Reader) (first, last uint16, err error) {
	b, err := io.ReadAll(io.LimitReader(r, 64))
	if err != nil {
		return 0, 0, err
	}
	f := fields{bytes.TrimSpace(b)}
	lo, okLo := decimal(f.next())
	hi, okHi := decimal(f.next())
	if !okLo || !okHi || lo > hi || hi > 0xffff {
		return 0, 0, badLine("no port range: " + strconv.Quote(string(b)))
	}
	return uint16(lo), uint16(hi), nil
}

// NamespaceMount is a namespace kept alive by a bind mount.
type NamespaceMount struct {
	Inode uint64
	Path  string
}

// ParseNetNSMounts reads mountinfo (proc_pid_mountinfo(5)) and gives the
// mounts of network namespaces, as `ip netns add` makes them.
func ParseNetNSMounts(r io.Reader) ([]NamespaceMount, error) {
	var out []NamespaceMount
	_, err := eachLine(r, false, func(line []byte) error {
		f := fields{line}
		f.skip(3)
		root, path := f.next(), f.next()
		if inode, ok := NetNSLink(string(root)); ok {
			out = append(out, NamespaceMount{inode, unescapeMount(string(path))})
		}
		return nil
	})
	return out, err
}

// NetNSLink reads the text of a namespace link, "net:[4026531840]".
func NetNSLink(s string) (inode uint64, ok bool) {
	s, okPrefix := strings.CutPrefix(s, "net:[")
	s, okSuffix := strings.CutSuffix(s, "]")
	if !okPrefix || !okSuffix {
		return 0, false
	}
	return decimal([]byte(s))
}

// unescapeMount undoes the kernel's \ooo escapes of space, tab, newline and
// backslash.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Image tells one run of a program from another: processes that share it were
// forked without a new exec. Zero when the kernel hides it (proc_pid_stat(5):
// it needs PTRACE_MODE_READ).
type Image struct{ StartCode, StartStack uint64 }

// ParseImage reads /proc/PID/stat. The command in parentheses may hold
// anything, so the fields are counted from its last parenthesis.
func ParseImage(r io.Reader) (Image, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxLine))
	if err != nil {
		return Image{}, err
	}
	end := bytes.LastIndexByte(b, ')')
	f := fields{bytes.TrimSpace(b[end+1:])}
	f.skip(23) // state (3) … rsslim (25)
	code, okCode := decimal(f.next())
	f.skip(1) // endcode
	stack, okStack := decimal(f.next())
	if end < 0 || !okCode || !okStack {
		return Image{}, badLine("no start of code and stack")
	}
	return Image{code, stack}, nil
}

// SCTPEntry is one endpoint of net/sctp/eps.
type SCTPEntry struct {
	State uint8 // SCTP_SS_*, as TCP's: 10 listening, 7 closed, 1 established
	Port  uint16
	UID   uint32
	Inode uint64
	Addrs []netip.Addr // valid during the callback
}

// ParseSCTPEndpoints reads net/sctp/eps (net/sctp/proc.c).
func ParseSCTPEndpoints(r io.Reader, fn func(*SCTPEntry) error) (Skipped, error) {
	var e SCTPEntry
	return eachLine(r, true, func(line []byte) error {
		if err := e.parse(line); err != nil {
			return err
		}
		return fn(&e)
	})
}

// parse reads ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS.
func (e *SCTPEntry) parse(line []byte) error {
	f := fields{line}
	f.skip(3)
	state, okState := decimal(f.next())
	f.skip(1)
	port, okPort := decimal(f.next())
	uid, okUID := decimal(f.next())
	inode, okInode := decimal(f.next())
	if !okState || !okPort || !okUID || !okInode || state > 0xff || port > 0xffff || uid > 1<<32-1 {
		return badLine("a field is missing or no number")
	}
	*e = SCTPEntry{State: uint8(state), Port: uint16(port), UID: uint32(uid), Inode: inode, Addrs: e.Addrs[:0]}
	for word := f.next(); len(word) > 0; word = f.next() {
		// A '*' before an address marks the primary one (associations only).
		ip, err := netip.ParseAddr(strings.TrimPrefix(string(word), "*"))
		if err != nil {
			return badLine("an address does not parse")
		}
		e.Addrs = append(e.Addrs, ip)
	}
	return nil
}

// ParseNFSDPorts reads fs/nfsd/portlist: the kernel NFS server's listeners as
// "tcp 2049".
func ParseNFSDPorts(r io.Reader, fn func(transport string, port uint16)) (Skipped, error) {
	return eachLine(r, false, func(line []byte) error {
		f := fields{line}
		name := string(f.next())
		port, ok := decimal(f.next())
		if !ok || port > 0xffff {
			return badLine("no transport and port")
		}
		fn(name, uint16(port))
		return nil
	})
}
