// Package policy reads the policy file: what should be open on a host and
// why, which ports nobody may close, and which networks a scan may and may
// never ask. It is YAML, read strictly: an unknown
// key, a wrong type, a bad port or address is an error that names the line.
//
//	version: 1
//	expect:
//	  - port: 22/tcp          # 443, 53/udp, 8000-8010/tcp; tcp when unsaid
//	    process: sshd         # glob on the process name
//	    unit: ssh.service     # glob on the systemd unit
//	    scope: any            # the widest bind that is expected (loopback…any)
//	    peers: [10.0.0.0/8]   # who may use it
//	    reason: administrators log in
//	    expires: 2027-01-31   # the last day on which this holds (UTC)
//	protected:
//	  - port: 657/tcp
//	    reason: cluster heartbeat
//	owned:                    # public networks that may be scanned at any size
//	  - 203.0.113.0/24
//	never-scan:               # what `portreeve scan` never asks, whatever is typed
//	  - 10.0.9.0/24
//	  - 2001:db8::5           # addresses and prefixes; names are refused
//	segments:                 # named networks, for `portreeve rules learn`
//	  - name: clients
//	    networks: [10.1.0.0/16]
//	operators:                # whom no rule set may cut off
//	  - from: 10.9.0.0/24
//	    ports: [22/tcp]
//	    reason: administrators
//
// The package holds no state, does no I/O and knows no clock: callers pass
// bytes and times. What is valid: at most 1 MiB, 10,000 entries.
package policy
