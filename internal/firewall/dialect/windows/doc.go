// Package windows reads and writes the rules of Windows Defender Firewall.
//
// Read tells these forms apart by their content: the text of `netsh
// advfirewall firewall show rule name=all` (with or without verbose, and with
// `netsh advfirewall show allprofiles` beside it; English only), scripts of
// `netsh advfirewall firewall add rule` and of New-NetFirewallRule, the
// registry's FirewallRules as reg.exe exports them (MS-GPFAS 2.2.2.19), and
// exports of Get-NetFirewallRule joined with its filters as JSON, CSV or lists,
// with Get-NetFirewallProfile beside them. Text may be UTF-8 or UTF-16.
//
// There are two chains, "inbound" and "outbound". Rules that override blocks
// come first, then those that block, then those that allow, then what the
// profile does by default: block inbound and allow outbound where the file
// does not say. They see a connection's first packet. Rules that are not
// enabled do nothing.
//
// A rule for a program, a service, a user, a kind of interface, a profile or a
// computer that has to authenticate itself depends on what a packet does not
// show: its conditions are atoms that are understood. So are LocalSubnet, DNS
// and the other words for addresses, and RPC, Teredo and the like for ports.
// Options.Profile chooses the profile.
//
// netsh shows the program of a rule only with verbose, and people's exports
// often leave it out. A rule that then has ports of its own and no group is
// taken as one for every program; of others it is not known. Either is said as
// a problem.
//
// Sources: MS-GPFAS and MS-FASP, the documentation of netsh advfirewall and of
// the NetSecurity module, and "Windows Firewall rules: rule precedence".
package windows
