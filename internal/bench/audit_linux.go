package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// wall is the packet filter of the host to audit: stateful, as most are.
const wall = `nft -f - <<'END'
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif "lo" accept
		tcp dport { 3000-3019 } accept
	}
}
END`

// twoAddresses gives the namespace an interface with one address of each
// family; with loopback's that makes four.
const twoAddresses = `
ip link add eth0 type veth peer name eth1
ip link set eth0 addrgenmode none
ip link set eth1 addrgenmode none
ip addr add 10.77.0.1/24 dev eth0
ip addr add fd77::1/64 dev eth0 nodad
ip link set eth0 up
ip link set eth1 up`

// auditHost is a host to audit in full.
func auditHost(ctx context.Context, o options) (result, error) {
	var res result
	err := inNamespace(func() error {
		if err := errors.Join(sh(twoAddresses), sh(wall)); err != nil {
			return err
		}
		h, err := startHolders(ctx, auditLoad())
		if err != nil {
			return err
		}
		res.situation = "A host with four addresses (127.0.0.1, ::1, one IPv4 and one IPv6 on an interface), 30 TCP listeners (half of them greet, half stay silent) and a stateful nftables rule set, in one network namespace. " +
			"Ours takes two snapshots of the host, asks all 65,535 TCP ports of each address and the UDP ports of the host view, reads the firewall, joins and explains; nmap asks the TCP ports."
		res.rows, err = contests(ctx, auditContests(o))
		return errors.Join(err, h.release())
	})
	return res, err
}

func auditLoad() []holding {
	const greeting = "SSH-2.0-OpenSSH_9.2p1\r\n"
	return []holding{
		{addr: "", port: 3000, listeners: 10, greeting: greeting},
		{addr: "0.0.0.0", port: 3010, listeners: 10},
		{addr: "127.0.0.1", port: 3020, listeners: 5, greeting: greeting},
		{addr: "10.77.0.1", port: 3030, listeners: 5},
	}
}

func auditContests(o options) []contest {
	audit := ours(o, ourOpenPorts, nil, "audit", "--json")
	within := goal{within: 4 * time.Second}
	return []contest{
		{what: "audit against a raw sweep", ours: audit, theirs: nmap("-sS"), rounds: o.rounds, goal: within},
		{what: "audit against a connect sweep", ours: audit, theirs: nmap("-sT"), rounds: o.rounds, goal: within},
	}
}

// nmap sweeps both families, one after the other, as nmap wants it.
func nmap(how string) tool {
	four := fmt.Sprintf("nmap -n -Pn %s -p- 127.0.0.1 10.77.0.1", how)
	six := fmt.Sprintf("nmap -6 -n -Pn %s -p- ::1 fd77::1", how)
	both := four + "; " + six
	return tool{shown: both, argv: []string{"sh", "-euc", both}, read: nmapOpenPorts}
}
