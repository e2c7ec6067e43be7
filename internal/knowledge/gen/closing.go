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
		"chsubserver", "chrctcp", "chssys", "chitab", "rmitab", "stopsrc", "refresh",
		"rmnfs", "rmyp", "rmdt", "no ", "/usr/websm/bin/wsmserver", "dtconfig", "smitty",
		"/opt/rsct/bin/", "clctrl", "db2set", "unconfig", "slibclean", "chdev", "rmdev",
		"/usr/sbin/cpcosi",
	}
	windowsCommands = []string{
		"Stop-Service", "Set-Service", "Disable-NetFirewallRule", "Set-ItemProperty", "New-Item",
		"Disable-PSRemoting", "Set-SmbServerConfiguration", "Disable-WindowsOptionalFeature",
		"Uninstall-WindowsFeature", "Disable-NetAdapterBinding", "Get-CimInstance", "netsh",
		"New-NetFirewallRule", "sc.exe", "iisreset", "Remove-WindowsCapability", "Stop-Process",
		"Remove-WSManInstance", "Set-DeliveryOptimizationStatus", "dism", "wsl", "Disable-ScheduledTask",
		"Uninstall-RemoteAccess", "Stop-Website", "certutil", "rabbitmq-service", "Get-SmbShare",
	}
	macCommands = []string{
		"sudo launchctl", "sudo systemsetup", "sudo cupsctl", "sudo nfsd", "sudo apachectl",
		"sudo defaults", "defaults", "brew services", "sudo sharing", "sudo AssetCacheManagerUtil",
		"sudo kickstart", "sudo /System/", "sudo serverinfo", "launchctl", "pkill", "sudo tmutil",
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
