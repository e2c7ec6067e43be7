package main

import (
	"regexp"
	"strings"

	"github.com/portreeve/portreeve/internal/knowledge"
)

// unitForm is a unit name as systemd.unit(5) allows it, of the types that can
// hold a port.
var unitForm = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+\.(service|socket)$`)

// Commands that a step may start with. Whoever adds one has looked it up.
var (
	aixCommands = []string{
		"/usr/websm/bin/wsmserver", "chitab", "chrctcp", "chssys", "chsubserver", "db2set",
		"dtconfig", "rmdt", "rmitab", "rmnfs", "rmyp", "stopsrc",
	}
	windowsCommands = []string{
		"Disable-NetAdapterBinding", "Disable-NetFirewallRule", "Disable-PSRemoting",
		"Disable-WindowsOptionalFeature", "Get-CimInstance", "New-Item", "New-NetFirewallRule",
		"Remove-WSManInstance", "Set-ItemProperty", "Set-Service", "Set-SmbServerConfiguration",
		"Stop-Process", "Stop-Service", "Stop-Website", "Uninstall-WindowsFeature", "netsh",
		"rabbitmq-service", "sc.exe",
	}
	macCommands = []string{
		"brew services", "sudo /System/", "sudo apachectl", "sudo cupsctl", "sudo defaults",
		"sudo launchctl", "sudo nfsd", "sudo systemsetup",
	}
)

func (c *checker) closing(a *knowledge.Advice) {
	x := a.Close
	if len(x.Systemd)+len(x.Inetd)+len(x.AIX)+len(x.Windows)+len(x.MacOS)+len(x.Other) == 0 {
		c.fail(a, "close: no way at all")
	}
	for _, u := range x.Systemd {
		if !unitForm.MatchString(u.Name) {
			c.fail(a, "close.systemd: %q is no service or socket unit", u.Name)
		}
	}
	for _, n := range x.Inetd {
		if n == "" || strings.ContainsAny(n, " \t") {
			c.fail(a, "close.inetd: %q is no service name", n)
		}
	}
	c.commands(a, "aix", x.AIX, aixCommands)
	c.commands(a, "windows", x.Windows, windowsCommands)
	c.commands(a, "macos", x.MacOS, macCommands)
	for _, s := range x.Loopback {
		if s.File == "" || s.Set == "" {
			c.fail(a, "close.loopback: a setting needs file and set")
		}
	}
}

func (c *checker) commands(a *knowledge.Advice, system string, list, allowed []string) {
	for _, line := range list {
		if !startsWithAny(line, allowed) {
			c.fail(a, "close.%s: %q does not start with a known command", system, line)
		}
		if strings.ContainsAny(line, "\n\t<>") || strings.Count(line, "'")%2 != 0 || strings.Count(line, `"`)%2 != 0 {
			c.fail(a, "close.%s: %q is not ready to be typed", system, line)
		}
	}
}

func startsWithAny(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
