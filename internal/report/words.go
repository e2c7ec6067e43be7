package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// portText is 22/tcp.
func portText(port uint16, proto exposure.Proto) string {
	return strconv.Itoa(int(port)) + "/" + string(proto)
}

// ownerText says in few words who holds a socket: processes grouped by name,
// then unit, container or kernel user; "?" where that is not known.
func ownerText(procs []exposure.Process, unit string, c *exposure.Container, k *exposure.KernelUser) string {
	switch {
	case k != nil:
		return Escape(strings.TrimSpace("kernel: " + k.User + " " + k.Detail))
	case len(procs) == 0 && unit == "":
		return "?"
	}
	out := processNames(procs)
	switch {
	case c != nil:
		name := c.Name
		if name == "" {
			name = c.ID[:min(12, len(c.ID))]
		}
		out += " (" + c.Runtime + " " + name + ")"
	case unit != "":
		out += " (" + unit + ")"
	}
	return Escape(strings.TrimSpace(out))
}

func processNames(procs []exposure.Process) string {
	counts := map[string]int{}
	var names []string
	for _, p := range procs {
		if counts[p.Name] == 0 {
			names = append(names, p.Name)
		}
		counts[p.Name]++
	}
	for i, n := range names {
		if counts[n] > 1 {
			names[i] = fmt.Sprintf("%s x%d", n, counts[n])
		}
	}
	return strings.Join(names, ", ")
}

// boundText says where a socket is bound: "any 4+6", "loopback", an address.
func boundText(a exposure.Address, scope exposure.Scope, dual bool, device string) string {
	out := a.String()
	switch {
	case scope == exposure.ScopeAny && dual:
		out = "any 4+6"
	case scope == exposure.ScopeAny && a.IP.Is6() && !a.IP.Is4In6():
		out = "any 6"
	case scope == exposure.ScopeAny:
		out = "any 4"
	}
	if device != "" && a.IP.Zone() != device {
		out += "%" + device
	}
	return Escape(out)
}

// gapsText writes what a view could not see, for the notes on stderr.
func gapsText(gaps []exposure.Gap) []string {
	var out []string
	for _, g := range gaps {
		line := Escape(g.View + ": " + g.Why)
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}
