// Package sockaddr turns addresses into what the Linux socket calls take,
// zones included, and back, and reads what the kernel says of a socket's
// errors. The transports of scan share it; on other systems it is empty. It
// keeps no state but the buffers of an ErrorQueue, which one goroutine uses at
// a time.
package sockaddr
