// Package policy reads the policy file: what should be open on a host and
// why, and which ports nobody may close. It is YAML, read strictly: an unknown
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
//
// The package holds no state, does no I/O and knows no clock: callers pass
// bytes and times. What is valid: at most 1 MiB, 10,000 entries.
package policy
