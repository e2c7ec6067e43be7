package identify

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// decodeHTTP adds the page's title to Info, and reads 401 (RFC 9110 section
// 15.5.2) as a request for a password.
func decodeHTTP(answer []byte, s *exposure.Service) {
	if s.Auth == "" && len(answer) > 12 && string(answer[9:12]) == "401" {
		s.Auth = "required"
	}
	text := title(answer)
	switch {
	case text == "":
	case s.Info == "":
		s.Info = text
	default:
		s.Info += "; " + text
	}
}

// title is the text of an HTML title, in one line.
func title(page []byte) string {
	lower := bytes.ToLower(page)
	at := bytes.Index(lower, []byte("<title"))
	if at < 0 || len(lower) != len(page) {
		return ""
	}
	_, rest, ok := bytes.Cut(page[at:], []byte(">"))
	end := bytes.IndexByte(rest, '<')
	if !ok || end < 0 {
		return ""
	}
	return strings.Join(strings.Fields(html.UnescapeString(bounded(string(rest[:end]), 4*maxField))), " ")
}

// decodeRPC reads a portmapper's DUMP (RFC 1833 section 3): entries {1,
// program, version, protocol, port}, ended by 0. The version told is that of
// the portmapper itself (program 100000).
func decodeRPC(answer []byte, s *exposure.Service) {
	c := cursor{rest: answer}
	c.skip(4 + 24) // record mark; call's id, REPLY, accepted, no verifier, SUCCESS
	var own []uint32
	var programs []string
	for c.u32() == 1 {
		program, version := c.u32(), c.u32()
		c.skip(8)
		if c.bad {
			break
		}
		if program == 100000 {
			own = append(own, version)
			continue
		}
		if name := rpcProgram(program); !slices.Contains(programs, name) {
			programs = append(programs, name)
		}
	}
	if len(own) > 0 {
		s.Version = fromTo(slices.Min(own), slices.Max(own))
	}
	if len(programs) > 0 {
		s.Info = strings.Join(programs, " ")
	}
}

func fromTo(low, high uint32) string {
	if low == high {
		return dotted(low)
	}
	return fmt.Sprintf("%d-%d", low, high)
}

// rpcProgram names the programs of RFC 5531's registry that are met most.
func rpcProgram(n uint32) string {
	if name, ok := map[uint32]string{100001: "rstatd", 100002: "rusersd", 100003: "nfs", 100004: "ypserv", 100005: "mountd",
		100007: "ypbind", 100008: "walld", 100009: "yppasswdd", 100011: "rquotad", 100012: "sprayd", 100021: "nlockmgr",
		100024: "status", 100227: "nfs_acl"}[n]; ok {
		return name
	}
	return fmt.Sprint(n)
}

// decodeSMB reads an SMB2 NEGOTIATE response (MS-SMB2 2.2.4) behind the 4-byte
// session header: security mode at 66, dialect at 68, the server's GUID at 72.
// Samba makes its GUID of its NetBIOS name; Windows' is random.
func decodeSMB(answer []byte, s *exposure.Service) {
	if len(answer) < 88 || !bytes.HasPrefix(answer[4:], []byte("\xfeSMB")) {
		return
	}
	c := cursor{rest: answer[4+64+2:]}
	mode, dialect := c.le16(), c.le16()
	c.skip(2)
	guid := bytes.TrimRight(c.take(16), "\x00")
	s.Info = fmt.Sprintf("SMB %d.%d", dialect>>8&0xf, dialect>>4&0xf)
	if patch := dialect & 0xf; patch != 0 {
		s.Info += fmt.Sprintf(".%d", patch)
	}
	if dialect == 0x2ff {
		s.Info = "SMB 2"
	}
	if mode&2 != 0 {
		s.Info += ", signing required"
	}
	if printable(guid) {
		s.Product = "Samba"
	}
}

// ldapNames are what decodeLDAP looks for in the root DSE (RFC 4512 section
// 5.1, RFC 3045), in lower case.
const (
	ldapVendor  = "vendorname"
	ldapVersion = "vendorversion"
	ldapClass   = "objectclass"
	ldapHost    = "dnshostname"
	ldapLevel   = "domaincontrollerfunctionality"
)

// decodeLDAP reads a SearchResultEntry (RFC 4511 section 4.5.2).
func decodeLDAP(answer []byte, s *exposure.Service) {
	_, envelope, _ := element(answer)
	_, _, rest := element(envelope) // message id
	tag, entry, _ := element(rest)
	_, _, rest = element(entry) // object name
	_, list, _ := element(rest)
	if tag != 0x64 {
		return
	}
	values := map[string]string{}
	for len(list) > 0 {
		var attribute []byte
		_, attribute, list = element(list)
		_, name, rest := element(attribute)
		_, set, _ := element(rest)
		for len(set) > 0 {
			var value []byte
			if _, value, set = element(set); printable(value) {
				key := strings.ToLower(string(name))
				values[key] = strings.TrimSpace(values[key] + " " + string(value))
			}
		}
	}
	tellLDAP(values, s)
}

func tellLDAP(values map[string]string, s *exposure.Service) {
	s.Product, s.Version, s.Info = values[ldapVendor], values[ldapVersion], values[ldapHost]
	switch {
	case s.Product != "":
	case strings.Contains(values[ldapClass], "OpenLDAProotDSE"):
		s.Product = "OpenLDAP"
	case values[ldapLevel] != "":
		s.Product = "Microsoft Active Directory LDAP"
		s.Info = strings.TrimPrefix(s.Info+", functional level "+values[ldapLevel], ", ")
	}
}

// element reads one BER element (X.690) with a short or definite length; what
// does not fit gives nothing, a value cut short what there is of it.
func element(b []byte) (tag byte, value, rest []byte) {
	if len(b) < 2 {
		return 0, nil, nil
	}
	tag = b[0]
	n, head := int(b[1]), 2
	if n >= 0x80 {
		size := n & 0x7f
		if size == 0 || size > 3 || len(b) < 2+size {
			return 0, nil, nil
		}
		n, head = 0, 2+size
		for _, c := range b[2:head] {
			n = n<<8 | int(c)
		}
	}
	end := min(head+n, len(b))
	return tag, b[head:end], b[end:]
}
