// Package sockaddr turns this host's addresses into what the Linux socket
// calls take, zones included, and back. The transports of scan share it; on
// other systems it is empty. It keeps no state.
package sockaddr
