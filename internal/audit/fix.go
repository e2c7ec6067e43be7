package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// shutting are the rules whose remedy is to close or narrow the port; only
// they get the owner's closing commands.
var shutting = map[string]bool{
	"exposed-datastore": true, "exposed-admin-service": true, "cleartext-service": true,
	"exposed-beyond-need": true, "unused-listener": true, "not-in-policy": true,
	"unknown-service": true, "unruled-listener": true, "service-mismatch": true,
}

// addFixes gives each finding that asks for it the commands for the row's real
// owner, and nothing that shuts a protected port.
func addFixes(in *Input, r *row) {
	why := in.protection(r)
	for i := range r.findings {
		f := &r.findings[i]
		switch {
		case why != "":
			f.Fix = nil
			f.SafeBecause = append(f.SafeBecause, "protected: "+why)
		case shutting[f.Rule]:
			f.Fix = append(f.Fix, closeFixes(r)...)
		}
	}
}

// closeFixes narrow first, then stop, then wall off.
func closeFixes(r *row) []exposure.Fix {
	var out []exposure.Fix
	out = append(out, rebindFixes(r)...)
	out = append(out, stopFix(r)...)
	if !r.loopbackOnly() && r.Views.Firewall != exposure.Denied {
		out = append(out, exposure.Fix{What: "at once, until it is settled: keep strangers out", Command: dropRule(r.Proto, r.Addr, r.Port)})
	}
	return out
}

// rebindFixes tell how a server whose configuration is known is bound to
// loopback, with its own check before the restart. They are for the program
// that really holds the port, not for what usually does.
func rebindFixes(r *row) []exposure.Fix {
	if r.advice == nil || r.loopbackOnly() || r.Container != nil {
		return nil
	}
	var out []exposure.Fix
	for _, s := range settingsFor(r) {
		out = append(out, exposure.Fix{
			What:    fmt.Sprintf("if only this host needs it, bind it to loopback: in %s set `%s`, then restart it", s.File, s.Set),
			Command: checkAndRestart(r, s.Check)})
	}
	return out
}

// settingsFor chooses among several servers' settings those that name the
// holder; all of them when the holder serves this and none is named.
func settingsFor(r *row) []knowledge.Setting {
	var named []knowledge.Setting
	known := false
	for _, n := range holderNames(r.Processes) {
		known = known || slices.Contains(r.advice.Processes, n)
		for _, s := range r.advice.Close.Loopback {
			if (strings.Contains(s.Check, n) || strings.Contains(s.File, stem(n))) && !slices.Contains(named, s) {
				named = append(named, s)
			}
		}
	}
	switch {
	case !known:
		return nil
	case len(named) > 0:
		return named
	}
	return r.advice.Close.Loopback
}

// stem is what a daemon's files are named after: redis of redis-server, ssh of
// sshd.
func stem(name string) string {
	name, _, _ = strings.Cut(name, "-")
	return strings.TrimSuffix(name, "d")
}

func checkAndRestart(r *row, check string) string {
	if r.Unit == "" || strings.HasSuffix(r.Unit, ".scope") {
		return check
	}
	cmd := "systemctl restart " + shellQuote(r.Unit)
	if check != "" {
		cmd = check + " && " + cmd
	}
	return cmd
}

// stopFix is how the real owner is stopped.
func stopFix(r *row) []exposure.Fix {
	switch {
	case r.Container != nil:
		return []exposure.Fix{containerFix(r.Container)}
	case r.Kernel != nil:
		return kernelFix(r.Kernel)
	case inetdLike(r):
		return inetdFix(r)
	case r.Unit != "" && !strings.HasSuffix(r.Unit, ".scope"):
		return []exposure.Fix{{What: "stop it now and at boot", Command: stopUnits(r)}}
	case r.ActivatedBy != "":
		return []exposure.Fix{{What: "stop it now and at boot", Command: "systemctl disable --now " + shellQuote(r.ActivatedBy)}}
	case len(r.Processes) > 0:
		return []exposure.Fix{{What: "end the process (no unit starts it)", Command: "kill " + pids(r)}}
	}
	return nil
}

// stopUnits names the socket unit too: stopping the service alone leaves the
// port open, and the next client starts the service again.
func stopUnits(r *row) string {
	cmd := "systemctl disable --now " + shellQuote(r.Unit)
	if r.ActivatedBy != "" && r.ActivatedBy != r.Unit {
		cmd += " " + shellQuote(r.ActivatedBy)
	}
	if user, unit, ok := userUnit(r); ok {
		cmd = "systemctl --user -M " + user + "@ disable --now " + shellQuote(unit)
	}
	return cmd
}

// userUnit recognises a unit of a person's own systemd: its holder is no root
// and the unit came with its manager in front (user@1000.service/app.service).
func userUnit(r *row) (user, unit string, ok bool) {
	manager, unit, found := strings.Cut(r.Unit, "/")
	if !found || !strings.HasPrefix(manager, "user@") || len(r.Processes) == 0 {
		return "", "", false
	}
	return r.Processes[0].User, unit, true
}

func inetdLike(r *row) bool {
	for _, p := range r.Processes {
		switch p.Name {
		case "inetd", "openbsd-inetd", "inetutils-inetd", "rlinetd", "xinetd":
			return true
		}
	}
	return false
}

func inetdFix(r *row) []exposure.Fix {
	name := orElse(r.Service, itoa(int(r.Port)))
	if r.Processes[0].Name == "xinetd" {
		return []exposure.Fix{{What: "set `disable = yes` in the service's file, then", Command: "grep -l " + shellQuote(name) + " /etc/xinetd.d/* ; systemctl reload xinetd"}}
	}
	return []exposure.Fix{{What: "put # before its line in /etc/inetd.conf, then", Command: "grep -n " + shellQuote("^"+name) + " /etc/inetd.conf ; kill -HUP " + pids(r)}}
}

func containerFix(c *exposure.Container) exposure.Fix {
	name := orElse(c.Name, c.ID)
	switch c.Runtime {
	case "docker", "podman":
		return exposure.Fix{What: "publish it on loopback only (-p 127.0.0.1:PORT:PORT) when you recreate it, or stop it", Command: c.Runtime + " stop " + shellQuote(name)}
	case "lxc":
		return exposure.Fix{What: "stop the container", Command: "lxc-stop -n " + shellQuote(name)}
	case "lxd", "incus":
		return exposure.Fix{What: "stop the container", Command: strings.Replace(c.Runtime, "lxd", "lxc", 1) + " stop " + shellQuote(name)}
	case "systemd-nspawn":
		return exposure.Fix{What: "stop the container", Command: "machinectl poweroff " + shellQuote(name)}
	}
	return exposure.Fix{What: "see the container; its orchestrator restarts what is stopped by hand, so change it there", Command: "crictl inspect " + shellQuote(c.ID)}
}

func kernelFix(k *exposure.KernelUser) []exposure.Fix {
	switch k.User {
	case "vxlan", "geneve", "wireguard", "gtp", "bareudp":
		return []exposure.Fix{{What: "the kernel holds it for interface " + k.Detail + "; removing that closes it", Command: "ip link delete " + shellQuote(k.Detail)}}
	case "nfsd":
		return []exposure.Fix{{What: "the kernel's NFS server holds it", Command: "systemctl disable --now nfs-server.service"}}
	}
	return nil
}

// dropRule is an immediate measure for one port, in a table of its own so that
// it is taken back by deleting that table.
func dropRule(proto exposure.Proto, addr exposure.Address, port uint16) string {
	match := ""
	if ip := addr.IP.Unmap(); ip.IsValid() && !ip.IsUnspecified() {
		fam := "ip"
		if ip.Is6() {
			fam = "ip6"
		}
		match = fmt.Sprintf("%s daddr %s ", fam, ip.WithZone(""))
	}
	return fmt.Sprintf("nft 'add table inet portreeve_hold; add chain inet portreeve_hold input { type filter hook prerouting priority -350; }; add rule inet portreeve_hold input iifname != \"lo\" %s%s dport %d drop'", match, proto, port)
}

func pids(r *row) string {
	var out []string
	for _, p := range r.Processes {
		out = append(out, itoa(p.PID))
	}
	return strings.Join(out, " ")
}

// shellQuote makes a word safe to paste: names come from outside.
func shellQuote(s string) string {
	safe := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("@%_+=:,./-", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !safe(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
