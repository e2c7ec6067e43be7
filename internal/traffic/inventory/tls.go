package inventory

import (
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// TLS record and handshake types, extensions: RFC 8446 section 4 and 5, RFC
// 6066, RFC 7301.
const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
	clientHello     = 1
	serverHello     = 2
	certificate     = 11
	extName         = 0
	extALPN         = 16
	extVersions     = 43
)

// readTLS reads the hellos of both sides, and up to TLS 1.2 the server's
// certificate.
func readTLS(h *heard) finding {
	if h.proto != protoTCP {
		return finding{}
	}
	c, s := handshake(h.client), handshake(h.server)
	name, alpn, asked := readClientHello(c)
	version, chosen, answered := readServerHello(s)
	switch {
	case answered:
	case asked:
		return finding{service: "tls", score: guessed, detail: tlsDetail(name, alpn, "", ""), more: len(h.server) < maxLong && !h.cut}
	case isRecord(h.server, recordAlert, recordData) && isRecord(h.client, recordAlert, recordHandshake, recordData):
		return finding{service: "tls", score: told}
	default:
		return finding{}
	}
	f := finding{service: "tls", version: version, score: exactly}
	names, whole := certificateNames(s)
	f.more = version != "TLS 1.3" && names == "" && !whole && len(h.server) < maxLong && !h.cut
	f.detail = tlsDetail(name, alpn, chosen, names)
	return f
}

// tlsDetail puts together what the hellos told. The protocol that the server
// chose (up to TLS 1.2 it says so in the clear) counts before the one that the
// client likes best.
func tlsDetail(name, offered, chosen, names string) string {
	if chosen != "" {
		offered = ""
	}
	var out []string
	for _, part := range [4][2]string{{"sni ", name}, {"offers ", offered}, {"alpn ", chosen}, {"certificate ", names}} {
		if part[1] != "" {
			out = append(out, part[0]+part[1])
		}
	}
	return strings.Join(out, " ")
}

// isRecord reports a TLS record header of one of the types.
func isRecord(b []byte, types ...byte) bool {
	return len(b) >= 5 && slices.Contains(types, b[0]) && b[1] == 3 && b[2] <= 4 && be16(b[3:]) > 0 && be16(b[3:]) <= 1<<14+2048
}

// handshake joins what the handshake records at the front carry.
func handshake(b []byte) []byte {
	var out []byte
	for isRecord(b, recordHandshake) {
		n := be16(b[3:])
		b = b[5:]
		out = append(out, b[:min(n, len(b))]...)
		b = b[min(n, len(b)):]
	}
	return out
}

// body is the body of the handshake message of a type, in order; whole is
// false when it is cut off or has not come.
func body(b []byte, kind byte) (message []byte, whole bool) {
	for len(b) >= 4 {
		n := int(b[1])<<16 | be16(b[2:])
		end := min(len(b), 4+n)
		if b[0] == kind {
			return b[4:end], end == 4+n
		}
		b = b[end:]
	}
	return nil, false
}

// fields reads length-prefixed fields; once one is not there, bad is set.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n > len(f.b) {
		f.bad = true
		return nil
	}
	out := f.b[:n]
	f.b = f.b[n:]
	return out
}

// counted takes what a length of size bytes is before.
func (f *fields) counted(size int) []byte {
	n := 0
	for _, c := range f.take(size) {
		n = n<<8 | int(c)
	}
	return f.take(n)
}

func (f *fields) u16() int {
	if b := f.take(2); b != nil {
		return be16(b)
	}
	return 0
}

// extensions gives each extension; one that is cut off is left out.
func (f *fields) extensions(each func(kind int, value []byte)) {
	f.u16()
	for !f.bad && len(f.b) >= 4 {
		kind := f.u16()
		if value := f.counted(2); !f.bad {
			each(kind, value)
		}
	}
}

// readClientHello gives the server's name and the first protocol that are
// asked for.
func readClientHello(b []byte) (name, alpn string, ok bool) {
	message, _ := body(b, clientHello)
	if len(message) < 38 || message[0] != 3 || b[0] != clientHello {
		return "", "", false
	}
	f := fields{b: message[34:]}
	f.counted(1)
	f.counted(2)
	f.counted(1)
	f.extensions(func(kind int, value []byte) {
		v := fields{b: value}
		switch kind {
		case extName:
			v = fields{b: v.counted(2)}
			if kind := v.take(1); kind != nil && kind[0] == 0 {
				name = string(v.counted(2))
			}
		case extALPN:
			v = fields{b: v.counted(2)}
			alpn = string(v.counted(1))
		}
	})
	return name, alpn, true
}

func readServerHello(b []byte) (version, alpn string, ok bool) {
	message, whole := body(b, serverHello)
	if !whole || len(message) < 38 || message[0] != 3 || b[0] != serverHello {
		return "", "", false
	}
	number := binary.BigEndian.Uint16(message)
	f := fields{b: message[34:]}
	f.counted(1)
	f.take(3)
	f.extensions(func(kind int, value []byte) {
		v := fields{b: value}
		switch {
		case kind == extVersions && len(value) == 2:
			number = binary.BigEndian.Uint16(value)
		case kind == extALPN:
			v = fields{b: v.counted(2)}
			alpn = string(v.counted(1))
		}
	})
	return versionName(number), alpn, true
}

func versionName(n uint16) string {
	switch {
	case n == 0x0300:
		return "SSL 3.0"
	case n>>8 == 3 && n&0xff <= 4:
		return fmt.Sprintf("TLS 1.%d", n&0xff-1)
	case n>>8 == 0x7f:
		return "TLS 1.3"
	}
	return ""
}

// certificateNames are the names of the first certificate; whole is true when
// it was there, readable or not.
func certificateNames(b []byte) (names string, whole bool) {
	message, whole := body(b, certificate)
	f := fields{b: message}
	f.take(3)
	der := f.counted(3)
	if f.bad || len(der) == 0 {
		return "", whole
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "", true
	}
	list := c.DNSNames
	if len(list) == 0 && c.Subject.CommonName != "" {
		list = []string{c.Subject.CommonName}
	}
	return strings.Join(list[:min(len(list), 4)], ","), true
}
