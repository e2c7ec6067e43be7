//go:build unix

package rootfs

import "syscall"

// nonBlocking keeps an open of a pipe that took a file's place from waiting.
const nonBlocking = syscall.O_NONBLOCK
