package osguess

import (
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

var far4, far6 = netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("fd00::2")

func pair(t *testing.T) (near, far *nettest.NS) {
	t.Helper()
	near, far = nettest.New(t), nettest.New(t)
	nettest.Veth(t, near, far, "10.9.0.1/24", "10.9.0.2/24")
	near.Script("ip addr add fd00::1/64 dev eth0 nodad")
	far.Script("ip addr add fd00::2/64 dev eth0 nodad")
	return near, far
}

func guessIn(t *testing.T, ns *nettest.NS, opts Options, subjects ...Subject) (map[netip.Addr][]exposure.OSGuess, []exposure.Gap) {
	t.Helper()
	var found map[netip.Addr][]exposure.OSGuess
	var gaps []exposure.Gap
	ns.Do(func() {
		var err error
		if found, gaps, err = Guess(t.Context(), subjects, opts); err != nil {
			t.Error(err)
		}
	})
	return found, gaps
}

// This kernel is called Linux, in both protocols and under every setting that
// changes what it answers, and never with more precision than the settings
// leave.
func TestKernelIsLinux(t *testing.T) {
	near, far := pair(t)
	const reset = "sysctl -qw net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=2 " +
		"net.ipv4.tcp_workaround_signed_windows=0 'net.ipv4.tcp_rmem=4096 131072 33554432'; ip link set eth0 mtu 1500"
	for _, setting := range []string{
		"true",
		"sysctl -qw net.ipv4.tcp_timestamps=0",
		"sysctl -qw net.ipv4.tcp_sack=0",
		"sysctl -qw net.ipv4.tcp_window_scaling=0",
		"sysctl -qw net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0",
		"sysctl -qw net.ipv4.tcp_ecn=0",
		"sysctl -qw 'net.ipv4.tcp_rmem=4096 87380 6291456'",
		"sysctl -qw 'net.ipv4.tcp_rmem=4096 65536 6291456'",
		"sysctl -qw 'net.ipv4.tcp_rmem=4096 32768 174760'",
		"sysctl -qw 'net.ipv4.tcp_rmem=4096 1048576 67108864'",
		"sysctl -qw net.ipv4.tcp_workaround_signed_windows=1",
		"ip link set eth0 mtu 1400",
		"ip link set eth0 mtu 9000",
	} {
		far.Script(reset)
		far.Script(setting)
		ln := far.Listen("tcp", ":80")
		found, gaps := guessIn(t, near, Options{}, Subject{Addr: far4, Open: 80, Closed: 81}, Subject{Addr: far6, Open: 80, Closed: 81})
		_ = ln.Close()
		for _, addr := range []netip.Addr{far4, far6} {
			got := found[addr]
			if len(gaps) != 0 || len(got) != 1 || !strings.HasPrefix(got[0].Name, "Linux") || got[0].Via != ViaStack {
				t.Errorf("%s: %s: %v %v", setting, addr, got, gaps)
				continue
			}
			if version := strings.TrimPrefix(got[0].Name, "Linux "); got[0].Name != "Linux" && !strings.Contains(version, "6.x") && version != "or Android" && !strings.Contains(setting, "rmem") {
				t.Errorf("%s: %s: %q leaves out this kernel", setting, addr, got[0].Name)
			}
		}
	}
}

// nmap, asked for its own opinion with all its probes, names the same family
// as our table and as our reading of its database.
func TestNmapAgreesOnTheFamily(t *testing.T) {
	nettest.Need(t, "nmap")
	near, far := pair(t)
	far.Listen("tcp", ":80")
	theirs := near.Run("nmap", "-n", "-Pn", "-O", "--osscan-guess", "--max-os-tries", "1", "-p", "80,81", far4.String())
	dbs, _ := Find(os.DirFS("/"))
	found, _ := guessIn(t, near, Options{DBs: dbs}, Subject{Addr: far4, Open: 80, Closed: 81})
	if !strings.Contains(theirs, "Linux") {
		t.Skipf("nmap itself does not know this kernel:\n%s", theirs)
	}
	for _, g := range found[far4] {
		if !strings.HasPrefix(g.Name, "Linux") {
			t.Errorf("nmap says Linux, we %v", g)
		}
	}
	if len(found[far4]) < 2 {
		t.Errorf("own table and database: %v", found[far4])
	}
}

// Without CAP_NET_RAW banners still speak, and the gap names the capability.
func TestWithoutPrivilegeBannersSpeak(t *testing.T) {
	ns := nettest.New(t)
	subject := Subject{Addr: netip.MustParseAddr("127.0.0.1"), Open: 80, Services: []exposure.Service{debian}}
	ns.Do(func() {
		runtime.LockOSThread()
		dropRaw(t)
		found, gaps, err := Guess(t.Context(), []Subject{subject}, Options{})
		if err != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "CAP_NET_RAW") {
			t.Errorf("%v %v", gaps, err)
		}
		if got := found[subject.Addr]; len(got) != 1 || got[0].Name != "Debian GNU/Linux 12" {
			t.Errorf("%v", got)
		}
	})
}

// dropRaw takes CAP_NET_RAW from the calling thread (capget(2)).
func dropRaw(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}

// A host behind a port forward answers with its own stack and banner; the
// answer of the gateway's kernel in between stays beside the banner.
func TestBannerAndStackOfOneHost(t *testing.T) {
	near, far := pair(t)
	far.Listen("tcp", ":80")
	found, _ := guessIn(t, near, Options{}, Subject{Addr: far4, Open: 80, Closed: 81, Services: []exposure.Service{iis}},
		Subject{Addr: far6, Services: []exposure.Service{debian}})
	names := func(addr netip.Addr) (out []string) {
		for _, g := range found[addr] {
			out = append(out, g.Name)
		}
		return out
	}
	if got := names(far4); !slices.Equal(got, []string{"Linux 4.x–6.x", "Windows 10/Server 2016 or later"}) {
		t.Errorf("%v", got)
	}
	if got := names(far6); !slices.Equal(got, []string{"Debian GNU/Linux 12"}) {
		t.Errorf("no open port, so banners alone: %v", got)
	}
}

// Databases are found in their usual places, told apart by content, and a
// broken one is a gap, not an end.
func TestFind(t *testing.T) {
	const nmapText = "MatchPoints\nOPS(O1=20)\n\nFingerprint X\nClass V | Linux | 4.X | general purpose\nOPS(O1=M5B4)\n"
	const p0fText = "[tcp:response]\nlabel = s:unix:Linux:3.x\nsig = *:64:0:*:mss*10,0:mss:df:0\n"
	root := fstest.MapFS{
		"etc/p0f/p0f.fp":                  {Data: []byte(p0fText)},
		"usr/local/share/nmap/nmap-os-db": {Data: []byte(nmapText)},
	}
	if dbs, gaps := Find(root); len(dbs) != 2 || len(gaps) != 0 {
		t.Errorf("%v %v", dbs, gaps)
	}
	root["usr/share/nmap/nmap-os-db"] = &fstest.MapFile{Data: []byte("Fingerprint alone\n")}
	if dbs, gaps := Find(root); len(dbs) != 1 || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "nmap-os-db") {
		t.Errorf("%v %v", dbs, gaps)
	}
	if dbs, gaps := Find(fstest.MapFS{}); dbs != nil || gaps != nil {
		t.Errorf("nothing installed: %v %v", dbs, gaps)
	}
	if _, err := Load(strings.NewReader("hello")); err == nil {
		t.Error("a text is read as a database")
	}
}
