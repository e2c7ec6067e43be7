// Package unreach names ICMP destination-unreachable messages as port scans
// report them: port-unreach, host-unreach, net-unreach, proto-unreach,
// admin-prohibited, host-prohibited, net-prohibited. It keeps no state.
package unreach
