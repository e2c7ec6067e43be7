package knowledge

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Advice is what a person should know of one service.
type Advice struct {
	// ID is the service's short name, as: ssh, redis, ms-rpc. Names are other
	// names that people, identification and the registry use for it.
	ID    string   `json:"id" yaml:"id"`
	Names []string `json:"names,omitempty" yaml:"names,omitempty"`
	// Registered are registry names of its ports that belong to another
	// service: the port is in common use without being assigned.
	Registered []string `json:"registered,omitempty" yaml:"registered,omitempty"`
	// Ports are its own; Also are those where it is met beside the owner.
	Ports []PortRange `json:"ports,omitempty" yaml:"ports,omitempty"`
	Also  []PortRange `json:"also,omitempty" yaml:"also,omitempty"`
	// RPC are ONC RPC program numbers (RFC 5531): such a service agrees its
	// ports with rpcbind when it starts.
	RPC []uint32 `json:"rpc,omitempty" yaml:"rpc,omitempty"`
	// What it is and who runs it, one or two sentences each.
	What string `json:"what" yaml:"what"`
	Who  string `json:"who" yaml:"who"`
	// Processes are the names of executables that serve it.
	Processes []string `json:"processes,omitempty" yaml:"processes,omitempty"`
	Kinds     []Kind   `json:"kinds" yaml:"kinds"`
	// Speaks are the protocols rightly spoken there, as identification names
	// them (data/protocols.tsv). Empty: nothing that can be recognised, so
	// that no mismatch can be told.
	Speaks []string `json:"speaks,omitempty" yaml:"speaks,omitempty"`
	// Safe: why it may be safe. Unsafe: when it is not. Breaks: what stops
	// working when it is closed.
	Safe   []string `json:"safe" yaml:"safe"`
	Unsafe []string `json:"unsafe" yaml:"unsafe"`
	Breaks string   `json:"breaks" yaml:"breaks"`
	Close  Close    `json:"close" yaml:"close"`
	// Exposed is how bad it is when strangers reach it.
	Exposed exposure.Severity `json:"exposed" yaml:"exposed"`
	// Protected services must not be closed or blocked; ProtectedWhy says why.
	Protected    bool   `json:"protected,omitempty" yaml:"protected,omitempty"`
	ProtectedWhy string `json:"protected_why,omitempty" yaml:"protected_why,omitempty"`
	// Others are the ids of the other services that claim the port that was
	// asked for; only answers about a port have it.
	Others []string `json:"-" yaml:"-"`
}

// Close says how the service is closed on each system. An empty list means
// that the service is no standard part of that system.
type Close struct {
	Systemd []Unit   `json:"systemd,omitempty" yaml:"systemd,omitempty"`
	Inetd   []string `json:"inetd,omitempty" yaml:"inetd,omitempty"`     // service names in inetd.conf and xinetd.d
	AIX     []string `json:"aix,omitempty" yaml:"aix,omitempty"`         // commands
	Windows []string `json:"windows,omitempty" yaml:"windows,omitempty"` // PowerShell commands
	MacOS   []string `json:"macos,omitempty" yaml:"macos,omitempty"`     // commands
	// Loopback: how the common servers are bound to loopback only.
	Loopback []Setting `json:"loopback,omitempty" yaml:"loopback,omitempty"`
	// Other: what else closes it, one step each, in plain words.
	Other []string `json:"other,omitempty" yaml:"other,omitempty"`
}

// Setting is a change of one configuration file (or of a command line, where
// File names the unit or tool), and the server's own check of it.
type Setting struct {
	File  string `json:"file" yaml:"file"`
	Set   string `json:"set" yaml:"set"`
	Check string `json:"check,omitempty" yaml:"check,omitempty"`
}

// Unit is a systemd unit; On names the distributions that call it so, and is
// empty for all of them. Its text form is "NAME" or "NAME (ON)".
type Unit struct {
	Name string
	On   string
}

// MarshalText writes the text form.
func (u Unit) MarshalText() ([]byte, error) {
	if u.On == "" {
		return []byte(u.Name), nil
	}
	return []byte(u.Name + " (" + u.On + ")"), nil
}

// UnmarshalText reads the text form.
func (u *Unit) UnmarshalText(b []byte) error {
	name, on, has := strings.Cut(string(b), " (")
	if has && !strings.HasSuffix(on, ")") {
		return fmt.Errorf("unit %q: expected NAME or NAME (DISTRIBUTIONS)", b)
	}
	u.Name, u.On = name, strings.TrimSuffix(on, ")")
	return nil
}

// Systemctl is one complete command, and the distributions that it is for
// (empty: any).
type Systemctl struct {
	On   string
	Line string
}

// Systemctl gives the commands that stop the units now and at every boot. A
// socket unit and its service are stopped by one command, so that neither
// wakes the other; other units have a command each, for they are alternatives
// or parts: which of them a host has is the host view's word.
func (c *Close) Systemctl() []Systemctl {
	var out []Systemctl
	done := map[Unit]bool{}
	for _, u := range c.Systemd {
		key := Unit{Name: u.stem(), On: u.On}
		if done[key] {
			continue
		}
		done[key] = true
		line := "systemctl disable --now"
		for _, v := range c.Systemd {
			if v.stem() == key.Name && v.On == key.On {
				line += " " + v.Name
			}
		}
		out = append(out, Systemctl{On: u.On, Line: line})
	}
	return out
}

// stem is the unit's name without its type.
func (u Unit) stem() string {
	return strings.TrimSuffix(strings.TrimSuffix(u.Name, ".socket"), ".service")
}

// PortRange is one or more ports of a transport. Its text form is
// "tcp/22" or "tcp/5900-5909".
type PortRange struct {
	Proto       exposure.Proto
	First, Last uint16
}

// Contains reports whether a port lies in the range.
func (r PortRange) Contains(p exposure.Proto, port uint16) bool {
	return p == r.Proto && r.First <= port && port <= r.Last
}

// Width is how many ports the range has.
func (r PortRange) Width() int { return int(r.Last) - int(r.First) + 1 }

func (r PortRange) String() string {
	s := string(r.Proto) + "/" + strconv.Itoa(int(r.First))
	if r.Last != r.First {
		s += "-" + strconv.Itoa(int(r.Last))
	}
	return s
}

// MarshalText writes the text form.
func (r PortRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the text form.
func (r *PortRange) UnmarshalText(b []byte) error {
	proto, ports, ok := strings.Cut(string(b), "/")
	if _, known := transportOf(exposure.Proto(proto)); !ok || !known {
		return fmt.Errorf("port %q: expected tcp/N, udp/N, sctp/N or dccp/N", b)
	}
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	first, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q: %w", b, err)
	}
	last, err := strconv.ParseUint(to, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q: %w", b, err)
	}
	if last < first {
		return fmt.Errorf("port %q: the range runs backwards", b)
	}
	r.Proto, r.First, r.Last = exposure.Proto(proto), uint16(first), uint16(last)
	return nil
}
