package rawsock

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// A kept port is nobody else's while it is kept, and refuses connections
// instead of taking them; by both families.
func TestKeptPortIsKept(t *testing.T) {
	nettest.New(t).Do(func() {
		for _, is4 := range []bool{true, false} {
			fd, port, err := Keep(is4)
			if err != nil || port == 0 {
				t.Fatal(port, err)
			}
			at := unix.Sockaddr(&unix.SockaddrInet6{Port: int(port), Addr: [16]byte{15: 1}})
			family := unix.AF_INET6
			if is4 {
				family, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}
			}
			other, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Bind(other, at); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("another socket binds to it: %v", err)
			}
			if err := unix.Connect(other, at); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("a connection to it: %v", err)
			}
			_, _ = unix.Close(other), unix.Close(fd)
		}
	})
}
