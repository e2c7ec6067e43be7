// Package firewall is the firewall view: what the rule sets of this network
// namespace do with a stranger's new packet.
//
// Read takes everything that filters: nftables (nft's JSON, and
// iptables-nft-save for tables whose rules use x_tables extensions), legacy
// iptables and ip6tables, IP sets, and the facts about addresses, routes and
// settings that the rules rest on. Read changes nothing: it asks for no table
// that does not exist, since asking the legacy tools creates it. What cannot
// be read is a Gap with its reason, and makes verdicts unknown; that there is
// no firewall is said only when the kernel itself said so.
//
// A Wall is the result. Ask, AskAny, Published and PermitRules may be called
// from any number of goroutines. See package ruleset for how an answer is
// found, and docs/firewall.md for what is understood.
//
// What is not looked at: filters outside netfilter (XDP, tc and cgroup
// programs), rules of other namespaces, and what other machines on the way
// drop.
package firewall
