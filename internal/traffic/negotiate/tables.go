package negotiate

import (
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// kind is a control protocol.
type kind uint8

const (
	noKind kind = iota
	ftp
	rpcbind
	epmap
	sip
	rtsp
	tftp
	irc
	pptp
	turn
	natpmp
	tns
	mgcp
)

func kindNames() map[string]kind {
	return map[string]kind{
		"ftp": ftp, "rpcbind": rpcbind, "epmap": epmap, "sip": sip, "rtsp": rtsp, "tftp": tftp, "irc": irc,
		"pptp": pptp, "turn": turn, "nat-pmp": natpmp, "oracle-tns": tns, "mgcp": mgcp,
	}
}

//go:embed controls.txt programs.txt interfaces.txt
var files embed.FS

// tables are the embedded files. They are not changed once read.
type tables struct {
	ports      ports
	tcp, udp   map[uint16]kind
	words      words
	programs   map[uint32]string   // ONC RPC program number → name
	interfaces map[[16]byte]string // MS-RPC interface UUID, as on the wire (little-endian) → name
}

// loadTables reads the embedded tables once; a test reads them too, so that an
// error cannot be shipped.
var loadTables = sync.OnceValue(func() *tables {
	t, err := readTables()
	if err != nil {
		return &tables{}
	}
	return t
})

// kind is the control protocol of a port, or noKind.
func (t *tables) kind(proto uint8, port uint16) kind {
	if proto == protoTCP {
		return t.tcp[port]
	}
	return t.udp[port]
}

// word is what a message begins with that may come on any port.
type word struct {
	text   string
	kind   kind
	answer bool // a server says it
}

type words []word

// kind is the protocol whose messages begin as b does, or noKind.
func (ws words) kind(b []byte) kind {
	for i := range ws {
		if n := len(ws[i].text); len(b) >= n && string(b[:n]) == ws[i].text {
			return ws[i].kind
		}
	}
	return noKind
}

// answers reports a word that a server says.
func (ws words) answers(b []byte) bool {
	for i := range ws {
		if n := len(ws[i].text); len(b) >= n && string(b[:n]) == ws[i].text {
			return ws[i].answer
		}
	}
	return false
}

var errTable = errors.New("table of control protocols")

func readTables() (*tables, error) {
	t := &tables{tcp: map[uint16]kind{}, udp: map[uint16]kind{}, programs: map[uint32]string{}, interfaces: map[[16]byte]string{}}
	for name, read := range map[string]func([]string) error{
		"controls.txt": t.readControl, "programs.txt": t.readProgram, "interfaces.txt": t.readInterface,
	} {
		if err := readLines(name, read); err != nil {
			return nil, err
		}
	}
	for p := range 1 << 16 {
		if t.tcp[uint16(p)] != noKind || t.udp[uint16(p)] != noKind {
			t.ports.add(uint16(p))
		}
	}
	return t, nil
}

// readLines reads a table: fields between tabs, # begins a comment.
func readLines(name string, read func([]string) error) error {
	text, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if err := read(strings.Split(line, "\t")); err != nil {
			return fmt.Errorf("%s:%d: %w", name, n+1, err)
		}
	}
	return nil
}

// readControl reads "tcp|udp, kind, ports" or "client|server, kind, word".
func (t *tables) readControl(f []string) error {
	if len(f) != 3 || kindNames()[f[1]] == noKind {
		return errTable
	}
	k := kindNames()[f[1]]
	switch f[0] {
	case "tcp":
		return addPorts(t.tcp, k, f[2])
	case "udp":
		return addPorts(t.udp, k, f[2])
	case "client", "server":
		text, err := strconv.Unquote(f[2])
		if err != nil || len(text) < 5 {
			return errTable
		}
		t.words = append(t.words, word{text, k, f[0] == "server"})
		return nil
	}
	return errTable
}

func addPorts(to map[uint16]kind, k kind, list string) error {
	for _, p := range strings.Split(list, ",") {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return err
		}
		to[uint16(n)] = k
	}
	return nil
}

func (t *tables) readProgram(f []string) error {
	if len(f) != 2 {
		return errTable
	}
	n, err := strconv.ParseUint(f[0], 10, 32)
	t.programs[uint32(n)] = f[1]
	return err
}

func (t *tables) readInterface(f []string) error {
	if len(f) != 2 {
		return errTable
	}
	id, err := parseUUID(f[0])
	t.interfaces[id] = f[1]
	return err
}

// parseUUID reads a UUID's text into the bytes of its little-endian form:
// DCE 1.1 appendix A.
func parseUUID(text string) (id [16]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 || len(text) != 36 {
		return id, errTable
	}
	for i, from := range [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} {
		id[i] = b[from]
	}
	return id, nil
}

// formatUUID is the reverse of parseUUID.
func formatUUID(id []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x",
		[]byte{id[3], id[2], id[1], id[0]}, []byte{id[5], id[4]}, []byte{id[7], id[6]}, id[8:10], id[10:16])
}
