package udp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPayloadTable: the embedded table is whole, covers at least 60 protocols,
// and its requests fit one packet.
func TestPayloadTable(t *testing.T) {
	tab, err := parseTable(payloadTable)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]bool{}
	names := map[string]bool{}
	for _, r := range tab.requests {
		if r.source == "" || len(r.matches) == 0 || len(r.ports) == 0 || names[r.name] || len(r.message) > maxRequest {
			t.Errorf("%s: source %q, %d patterns, %d ports, %d bytes; or named twice", r.name, r.source, len(r.matches), len(r.ports), len(r.message))
		}
		names[r.name] = true
		services[r.matches[0].service] = true
		if r.stray && len(r.ports) != 1 {
			t.Errorf("%s answers from any port, so it can be asked at one port only", r.name)
		}
	}
	if len(services) < 60 {
		t.Errorf("%d protocols", len(services))
	}
	if n := len(tab.unlisted); n != DefaultTries {
		t.Errorf("an unlisted port is asked %d requests in %d tries", n, DefaultTries)
	}
}

// Every port asked anything is told what, and ports of protocols that must
// not be disturbed get the empty datagram first.
func TestQuietPorts(t *testing.T) {
	tab, _ := parseTable(payloadTable)
	for _, port := range []uint16{9, 67, 68, 514, 546, 547, 1812, 1813, 5355, 8125, 25826, 51820, 54321} {
		if all := tab.requestsFor(port); len(all[0].message) != 0 {
			t.Errorf("port %d is asked %q", port, all[0].message)
		}
	}
}

// Two protocols that answer from any port could not be told apart.
func TestOneStrayProtocol(t *testing.T) {
	tab, _ := parseTable(payloadTable)
	n := 0
	for _, r := range tab.requests {
		if r.stray {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d protocols", n)
	}
}

func TestPayloadTableRefusesNonsense(t *testing.T) {
	for _, line := range []string{"x", "probe x 1", `probe x 70000 "a"`, `probe x a "a"`, `probe x 1 "\xzz"`, `probe x 0 "a"`,
		`probe x 1-2,2 "a"`, `probe x 1 pad 1300 "a"`, `probe x 1 id 0 0 2 "a"`, `probe x 1 id 0 0 9 "0123456789"`, `probe x 1 pad "a"`,
		`probe x 1 always`, `match x "a"`, "probe x 1 \"a\"\nmatch x `(`", "probe x 1 \"a\"\nmatch x `a` size \"1\"", "probe x 1 \"a\"\nmatch x `a` info", `other x 1 "a"`} {
		if _, err := parseTable(line); !errors.Is(err, errTable) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

var update = flag.Bool("update", false, "write docs/udp-probes.md anew")

const docFile = "../../../docs/udp-probes.md"

// docs/udp-probes.md lists every byte sequence, its ports and its document:
// -update writes the list between the marks.
func TestDocsListEveryRequest(t *testing.T) {
	tab, err := parseTable(payloadTable)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	marks := regexp.MustCompile(`(?s)(<!-- list -->\n).*(<!-- end -->)`)
	want := marks.ReplaceAllLiteral(doc, []byte("<!-- list -->\n"+listing(tab)+"<!-- end -->"))
	if *update {
		if err := os.WriteFile(docFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(doc, want) {
		t.Error("docs/udp-probes.md and payloads.txt differ; run go test ./internal/scan/udp -run TestDocs -update")
	}
}

// listing is the table as the page shows it.
func listing(tab *table) string {
	var b strings.Builder
	for _, r := range tab.requests {
		fmt.Fprintf(&b, "\n**%s**, port %s. %s\n", r.name, strings.ReplaceAll(r.spec, ",", ", "), r.source)
		message, note := r.message, ""
		if r.always {
			note += " Also asked at unlisted ports."
		}
		if r.id.size > 0 {
			note += fmt.Sprintf(" The %d bytes at offset %d are a number that differs for each port asked; the answer repeats it.", r.id.size, r.id.at)
		}
		if padded := bytes.TrimRight(message, "\x00"); len(message)-len(padded) > 100 {
			note += fmt.Sprintf(" %d zero bytes follow, %d in all.", len(message)-len(padded), len(message))
			message = padded
		}
		if note != "" {
			fmt.Fprintf(&b, "%s\n", strings.TrimSpace(note))
		}
		fmt.Fprintf(&b, "\n```\n%s\n```\n", strconv.QuoteToASCII(string(message)))
	}
	b.WriteString("\n")
	return b.String()
}

// Answers as servers give them are recognised, with what they tell.
func TestRecognise(t *testing.T) {
	tab, _ := parseTable(payloadTable)
	for _, c := range []struct {
		probe, reply                 string
		name, product, version, info string
	}{
		{"ssdp", "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nSERVER: Linux/5.4 UPnP/1.1 MiniUPnPd/2.1\r\n\r\n", "ssdp", "Linux/5.4 UPnP/1.1 MiniUPnPd/2.1", "", ""},
		{"sip", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nServer: Asterisk PBX/18.2.0\r\n\r\n", "sip", "Asterisk PBX", "18.2.0", ""},
		{"sip", "SIP/2.0 404 Not Found\r\n\r\n", "sip", "", "", ""},
		{"memcached", "PR\x00\x00\x00\x01\x00\x00VERSION 1.6.18\r\n", "memcache", "memcached", "1.6.18", ""},
		{"ms-sql-m", "\x05\x50\x00ServerName;DB1;InstanceName;SQLX;IsClustered;No;Version;15.0.2000.5;tcp;1433;;", "ms-sql-m", "Microsoft SQL Server", "15.0.2000.5", "host DB1, instance SQLX"},
		{"tftp", "\x00\x05\x00\x01File not found\x00", "tftp", "", "", "File not found"},
		{"knx", "\x06\x10\x02\x04\x00\x4e\x36\x01\x02\x00\x11\x01\x00\x00\x00\x01\x02\x03\x04\x05\xe0\x00\x17\x0c\x00\x01\x02\x03\x04\x05KNX IP Router 750\x00", "efcp", "KNX IP Router 750", "", "KNXnet/IP"},
		{"source-engine", "\xff\xff\xff\xffI\x11Fun\x00de_dust\x00cstrike\x00Counter-Strike\x00", "halflife", "Counter-Strike", "", "Fun, map de_dust"},
		{"raknet", "\x1c12345678abcdefgh\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78\x00\x20MCPE;My World;527;1.19.1;0;10;", "minecraft", "Minecraft Bedrock", "1.19.1", "My World"},
		{"echo", "portreeve", "echo", "", "", ""},
		{"ntp", "\x24\x02\x06\xe9" + strings.Repeat("\x00", 44), "ntp", "", "", "version 4"},
		{"snmp", "0w\x02\x01\x030\x11\x02\x04\x00\x00PR\x80\x00\x1f\x88\x80", "snmp", "Net-SNMP", "", "version 3"},
		{"quic", "\xca\x00\x00\x00\x00\x08portreve\x08PRTREEVE\x1a\x2a\x3a\x4a\x00\x00\x00\x01", "https", "", "", "QUIC version 1"},
		{"dtls", "\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2f\x03", "dtls", "", "", "DTLS"},
		{"ike2", "PRTREEVE\x00\x00\x00\x00\x00\x00\x00\x00\x29\x20\x22\x20\x00\x00\x00\x00", "isakmp", "", "", "IKEv2"},
		{"netbios-ns", "PR\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00!\x00\x01\x00\x00\x00\x00\x00\x9b\x01FILESERVER     \x00\x04\x00", "netbios-ns", "", "", "name FILESERVER"},
		{"bittorrent-dht", "d2:ip6:abcdef1:rd2:id20:01234567890123456789e1:t2:PR1:v4:LT\x01\x021:y1:re", "bittorrent", "LT", "", "DHT"},
		{"afs", strings.Repeat("\x00", 20) + "\x0d\x04\x00\x00\x00\x00\x00\x00 OpenAFS 1.8.9-1-debian", "afs3-fileserver", "OpenAFS", "1.8.9-1-debian", ""},
	} {
		var req *request
		for _, r := range tab.requests {
			if r.name == c.probe {
				req = r
			}
		}
		s, ok := req.recognise([]byte(c.reply))
		if !ok || s.Name != c.name || s.Product != c.product || s.Version != c.version || s.Info != c.info || s.Via != "probe" || s.Banner == "" {
			t.Errorf("%s: %v %+v", c.probe, ok, s)
		}
	}
}

// An answer with the protocol's form and another number answers somebody
// else.
func TestForeignAnswer(t *testing.T) {
	tab, _ := parseTable(payloadTable)
	r := tab.requestsFor(11211)[0]
	id := []byte("abcdefgh")
	if !r.foreign([]byte("zz\x00\x00\x00\x01\x00\x00VERSION 1\r\n"), id) || r.foreign([]byte("ab\x00\x00\x00\x01\x00\x00VERSION 1\r\n"), id) || r.foreign([]byte("no memcached"), id) {
		t.Error("numbers are not told apart")
	}
	if got := r.datagram(id); !bytes.HasPrefix(got, []byte("ab\x00")) || !bytes.HasPrefix(r.message, []byte("PR\x00")) {
		t.Errorf("%q, and the table holds %q", got, r.message)
	}
}

func FuzzTable(f *testing.F) {
	f.Add(payloadTable)
	f.Add("# x\nprobe a 1,2-4 always pad 20 id 0 4 2 \"\\x00\" \"b\"\nmatch x `^(.)` product \"$1\" ")
	f.Fuzz(func(t *testing.T, text string) {
		tab, err := parseTable(text)
		if err != nil {
			return
		}
		for port, all := range tab.byPort {
			for _, r := range all {
				if len(r.message) > maxRequest || port == 0 || len(r.datagram(make([]byte, idSize))) != len(r.message) {
					t.Errorf("port %d: %d bytes", port, len(r.message))
				}
			}
		}
	})
}

// Whatever is answered, what is kept is short valid text, and quickly found.
func FuzzRecognise(f *testing.F) {
	tab, err := parseTable(payloadTable)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(1900), []byte("HTTP/1.1 200 OK\r\nServer: x\r\n"))
	f.Add(uint16(53), []byte("PR\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03"))
	f.Add(uint16(11211), bytes.Repeat([]byte{0xff}, maxReply))
	f.Fuzz(func(t *testing.T, port uint16, reply []byte) {
		all := tab.requestsFor(port)
		for _, r := range all {
			r.foreign(reply, []byte("01234567"))
		}
		s := service(all[0], all, reply)
		if s == nil {
			return
		}
		for _, text := range []string{s.Name, s.Product, s.Version, s.Info, s.Banner} {
			if len(text) > maxBanner || !utf8.ValidString(text) {
				t.Errorf("%q", text)
			}
		}
	})
}
