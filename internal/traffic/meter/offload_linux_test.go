package meter

import (
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

const (
	ethtoolSetTSO = 0x1f // ETHTOOL_STSO
)

func setTSO(t *testing.T, iface string, on uint32) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(fd)
	if !ethtool(fd, iface, request(ethtoolSetTSO, on, 0)) {
		t.Errorf("segmentation offload of %s cannot be set", iface)
	}
}

// A veth cuts nothing itself but says it did; told not to, it says so.
func TestOffloads(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	nettest.Veth(t, a, b, "10.9.0.1/24", "10.9.0.2/24")
	a.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		if got := offloads(fd, "eth0"); got != (offload{true, true, true}) {
			t.Errorf("%+v", got)
		}
		setTSO(t, "eth0", 0)
		if got := offloads(fd, "eth0"); got != (offload{false, false, true}) {
			t.Errorf("%+v", got)
		}
		if got := offloads(fd, "none"); got != (offload{true, true, true}) {
			t.Errorf("%+v", got)
		}
	})
}
