package exposure

import (
	"encoding/json"
	"slices"
	"time"
)

// State is a socket's state as the contract writes it.
type State string

// Socket states. Bound is a TCP socket that is bound and does not listen;
// Connected is UDP with a peer; Raw and Packet have no ports.
const (
	Listen      State = "listen"
	Unconnected State = "unconnected"
	Established State = "established"
	SynSent     State = "syn-sent"
	SynRecv     State = "syn-recv"
	FinWait1    State = "fin-wait-1"
	FinWait2    State = "fin-wait-2"
	TimeWait    State = "time-wait"
	Close       State = "close"
	CloseWait   State = "close-wait"
	LastAck     State = "last-ack"
	Closing     State = "closing"
	Bound       State = "bound"
	Connected   State = "connected"
	Raw         State = "raw"
	Packet      State = "packet"
)

// Socket is one row of the host view: one service on one endpoint, or one
// connection. Sockets counts the kernel sockets that make it.
type Socket struct {
	Proto       Proto       `json:"proto"`
	State       State       `json:"state"`
	Addr        Address     `json:"addr,omitzero"`
	Port        uint16      `json:"port"`
	PeerAddr    Address     `json:"peer_addr,omitzero"`
	PeerPort    uint16      `json:"peer_port"`
	Scope       Scope       `json:"scope"`
	DualStack   bool        `json:"dual_stack"`
	Device      string      `json:"device"`
	NetNS       NetNS       `json:"netns"`
	Processes   []Process   `json:"processes"`
	Unit        string      `json:"unit"`
	ActivatedBy string      `json:"activated_by"`
	Package     string      `json:"package"`
	Container   *Container  `json:"container"`
	Kernel      *KernelUser `json:"kernel"`
	Sockets     int         `json:"sockets"`
	Inodes      []uint64    `json:"inodes"`
	Service     string      `json:"service"`
	Uncertain   []string    `json:"uncertain"`

	// Additions to the contract's fields.

	MPTCP bool `json:"mptcp,omitempty"`
	// Filter is the attached classic BPF program of a raw or packet socket,
	// one instruction a line as `tcpdump -d` writes it; "cBPF not shown: …"
	// or "eBPF" where the kernel does not give it.
	Filter string `json:"filter,omitempty"`
	// OwnerUnknown says why Processes is empty though no kernel user is
	// known: no privilege, time-wait, orphan, ended during the walk.
	OwnerUnknown string `json:"owner_unknown,omitempty"`
	// PackageUnknown says why Package is empty: "in no package (dpkg)" or
	// what could not be asked.
	PackageUnknown string `json:"package_unknown,omitempty"`
	// UID is the kernel socket's own uid (sk_uid), known without ownership.
	UID uint32 `json:"uid"`

	// Traffic as the kernel counts it for a connection (tcp_info); zero
	// where unknown. SegsIn and SegsOut are segments, LastRcv is the time
	// since data was last received.
	SegsIn  uint64        `json:"segs_in,omitempty"`
	SegsOut uint64        `json:"segs_out,omitempty"`
	LastRcv time.Duration `json:"-"`
}

// Endpoint is the socket's local end.
func (s *Socket) Endpoint() Endpoint {
	return Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port, NetNS: s.NetNS.ID, Device: s.Device}
}

// IsListener reports a socket that strangers may knock at: a TCP-like
// listener or an unconnected datagram socket.
func (s *Socket) IsListener() bool { return s.State == Listen || s.State == Unconnected }

// plainSocket drops the methods, so that MarshalJSON does not call itself.
type plainSocket Socket

// MarshalJSON writes the contract's object: lists are never null, and fields
// named in Uncertain are left out, never guessed.
func (s Socket) MarshalJSON() ([]byte, error) {
	out := struct {
		plainSocket
		Addr      *Address  `json:"addr,omitempty"`
		Port      *uint16   `json:"port,omitempty"`
		PeerAddr  *Address  `json:"peer_addr,omitempty"`
		PeerPort  *uint16   `json:"peer_port,omitempty"`
		Processes []Process `json:"processes"`
		Inodes    []uint64  `json:"inodes"`
		Uncertain []string  `json:"uncertain"`
	}{plainSocket: plainSocket(s), Processes: notNil(s.Processes), Inodes: notNil(s.Inodes), Uncertain: notNil(s.Uncertain)}
	known := func(name string) bool { return !slices.Contains(s.Uncertain, name) }
	if known("addr") && !s.Addr.IsZero() {
		out.Addr = &s.Addr
	}
	if known("port") {
		out.Port = &s.Port
	}
	if known("peer_addr") && !s.PeerAddr.IsZero() {
		out.PeerAddr = &s.PeerAddr
	}
	if known("peer_port") {
		out.PeerPort = &s.PeerPort
	}
	return json.Marshal(out)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// NetNS names a network namespace: its inode (nsfs) as text, and its name
// under /run/netns where it has one.
type NetNS struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Process is one holder of a socket.
type Process struct {
	PID     int    `json:"pid"`
	Name    string `json:"name"`
	Exe     string `json:"exe"`
	Cmdline string `json:"cmdline"`
	User    string `json:"user"`
	UID     uint32 `json:"uid"`
	FD      int    `json:"fd"`

	// Deleted: the executable's file is gone from disk (and its path names
	// no file). Replaced: another file stands at its path (an upgrade that
	// was not followed by a restart).
	Deleted  bool `json:"exe_deleted,omitempty"`
	Replaced bool `json:"exe_replaced,omitempty"`
	// Writable: users other than the owner and root may write the executable
	// or replace it in its folder; WritableWhy says which.
	Writable    bool   `json:"exe_writable,omitempty"`
	WritableWhy string `json:"exe_writable_why,omitempty"`
	// WritablePath is the file or folder whose mode allows it.
	WritablePath string `json:"exe_writable_path,omitempty"`
	// Unpackaged: a package database was asked and no package owns the file.
	Unpackaged bool   `json:"exe_unpackaged,omitempty"`
	Package    string `json:"package,omitempty"`
	Unit       string `json:"unit,omitempty"`
	// Started is when the process began (zero if not known).
	Started time.Time `json:"started,omitzero"`
}

// Container is the container that a process lives in.
type Container struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Runtime string `json:"runtime"`
}

// KernelUser is the part of the kernel that holds a socket which no process
// owns, and how that is known, as: vxlan, vx1, rtnetlink.
type KernelUser struct {
	User   string `json:"user"`
	Detail string `json:"detail"`
	Source string `json:"source"`
}

// Gap is something that a view could not see. View is host, network,
// firewall, traffic or knowledge.
type Gap struct {
	View string `json:"view"`
	Why  string `json:"why"`
}

// Snapshot is the host view at one moment.
type Snapshot struct {
	Taken   time.Time `json:"taken"`
	Host    string    `json:"host"`
	Self    NetNS     `json:"self"` // the namespace that the reader runs in
	Sockets []Socket  `json:"sockets"`
	Gaps    []Gap     `json:"incomplete"`
}
