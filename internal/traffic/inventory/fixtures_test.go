package inventory

import (
	"bufio"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const fixtures = "../../../../shared/fixtures/captures"

// other lists what others call the services that they name differently.
var other = map[string][]string{
	"domain": {"dns"}, "tls": {"ssl", "https"}, "bootps": {"dhcp"}, "microsoft-ds": {"smb"}, "ms-wbt-server": {"rdp", "rdpeudp"},
	"isakmp": {"isakmp", "ipsec"}, "postgresql": {"postgresql", "postgres"}, "msrpc": {"dcerpc", "dce_rpc"}, "iso-tsap": {"s7comm", "s7comm-plus"},
	"opcua-tcp": {"opcua"}, "mbap": {"modbus"}, "mdns": {"mdns", "dns"}, "llmnr": {"llmnr", "dns"}, "dhcpv6-server": {"dhcpv6"},
	"netbios-ns": {"dns"}, "imap": {"imap"}, "cldap": {"ldap", "ldap_udp"}, "ldap": {"ldap", "ldap_tcp"},
}

// session is what another program tells of one flow.
type session struct {
	file, proto string
	ends        [2]netip.AddrPort
	apps        []string
}

// arkime reads sessions.tsv: every protocol that was recognised, for flows
// that have more than transport.
func arkime(t *testing.T) []session {
	var out []session
	for _, f := range rows(t, "arkime/sessions.tsv") {
		apps := slices.DeleteFunc(strings.Split(f[10], ","), func(s string) bool { return s == "tcp" || s == "udp" })
		if (f[1] == "tcp" || f[1] == "udp") && len(apps) > 0 {
			out = append(out, session{"arkime/" + f[0], f[1], [2]netip.AddrPort{ends(f[2], f[3]), ends(f[4], f[5])}, apps})
		}
	}
	return out
}

// zeek reads conn.tsv.
func zeek(t *testing.T) []session {
	var out []session
	for _, f := range rows(t, "zeek/conn.tsv") {
		if f[8] != "-" && (f[3] == "tcp" || f[3] == "udp") {
			out = append(out, session{"zeek/" + f[1], f[3], [2]netip.AddrPort{ends(f[4], f[5]), ends(f[6], f[7])}, strings.Split(f[8], ",")})
		}
	}
	return out
}

func ends(addr, port string) netip.AddrPort {
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(n))
}

func rows(t *testing.T, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		if f := strings.Split(strings.TrimSuffix(line, "\r"), "\t"); len(f) > 10 {
			out = append(out, f)
		}
	}
	return out
}

// Endpoints of composed captures at which each conversation speaks another
// protocol: the first that told something counts.
var mixed = []string{"arkime/tcp_handshake_synthetic.pcap", "zeek/modbus/modbus-and-non-modbus-p502.pcap"}

// Not told by the first bytes: data connections, which package negotiate
// names; tunnels, whose inner packets are what is decoded; a proxy that is
// asked by its server's side.
var notHere = []string{"ftp-data", "irc-dcc-data", "vxlan", "geneve", "teredo", "socks"}

// What Arkime and Zeek recognise in their captures is recognised, at one of
// the two ends, and nothing that they call otherwise.
func TestOthersAgree(t *testing.T) {
	seen := map[string]*Inventory{}
	right := 0
	for _, s := range slices.Concat(arkime(t), zeek(t)) {
		i := seen[s.file]
		if i == nil {
			i = inventoryOf(t, s.file)
			seen[s.file] = i
		}
		got := atEither(i, s)
		switch {
		case got == "" && !slices.ContainsFunc(s.apps, func(a string) bool { return slices.Contains(notHere, a) }):
			t.Errorf("%s %s: nothing, others say %v", s.file, s.ends, s.apps)
		case got != "" && !agrees(got, s.apps) && !slices.Contains(mixed, s.file):
			t.Errorf("%s %s: %s, others say %v", s.file, s.ends, got, s.apps)
		case got != "":
			right++
		}
	}
	if right < 130 {
		t.Errorf("only %d flows are recognised", right)
	}
}

func atEither(i *Inventory, s session) string {
	proto := map[string]uint8{"tcp": protoTCP, "udp": protoUDP}[s.proto]
	for _, k := range []int{1, 0} {
		if got, _ := i.Service(proto, s.ends[k].Addr().As16(), s.ends[k].Port()); got.Service != "" {
			return got.Service
		}
	}
	return ""
}

func agrees(got string, apps []string) bool {
	return slices.ContainsFunc(apps, func(a string) bool {
		return a == got || slices.Contains(other[got], a)
	})
}

// All captures are read; what is found in them is sane.
func TestAllCaptures(t *testing.T) {
	files, services := 0, 0
	err := filepath.WalkDir(fixtures, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(filepath.Ext(path), ".pcap") {
			files++
			name, _ := filepath.Rel(fixtures, path)
			for s := range inventoryOf(t, name).Services() {
				sane(t, s)
				if s.Service != "" {
					services++
				}
				if testing.Verbose() {
					t.Logf("%s %d %s:%d %q %q %q %q answers %v clients %d", name, s.Proto, wire.Addr(s.Addr), s.Port, s.Service, s.Product, s.Version, s.Detail, s.Answers, s.Clients)
				}
			}
		}
		return err
	})
	if err != nil || files < 100 || services < 100 {
		t.Fatal(files, services, err)
	}
}

func inventoryOf(t *testing.T, name string) *Inventory {
	t.Helper()
	i := New(Options{})
	eachPacket(t, filepath.Join(fixtures, name), i.Packet)
	return i
}

// eachPacket decodes a capture file.
func eachPacket(t *testing.T, path string, do func(*wire.Packet, int64)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	magic, err := in.Peek(4)
	if err != nil {
		t.Fatal(path, err)
	}
	var read func() ([]byte, gopacket.CaptureInfo, error)
	link := func(info gopacket.CaptureInfo) wire.LinkType {
		return wire.LinkType(info.AncillaryData[0].(layers.LinkType))
	}
	if string(magic) == "\x0a\x0d\x0d\x0a" {
		r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return // of the generator's hostile files
		}
		read = r.ReadPacketData
	} else {
		r, err := pcapgo.NewReader(in)
		if err != nil {
			t.Fatal(path, err)
		}
		read, link = r.ReadPacketData, func(gopacket.CaptureInfo) wire.LinkType { return wire.LinkType(r.LinkType()) }
	}
	var d wire.Decoder
	var p wire.Packet
	for {
		data, info, err := read()
		if err != nil {
			return
		}
		d.Decode(link(info), data, uint32(info.Length), &p)
		do(&p, info.Timestamp.UnixNano())
	}
}
