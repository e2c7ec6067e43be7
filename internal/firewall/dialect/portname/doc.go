// Package portname resolves the names of services that people write in rule
// sets instead of port numbers (IANA service-names-port-numbers, and the
// aliases that /etc/services has on BSD and Linux). It holds the names that
// rule sets use, not the whole registry: a name that it does not know stays
// unknown.
package portname
