package identify

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

// decodeTDS reads a PRELOGIN answer (MS-TDS 2.2.6.5): after the 8-byte header
// a list of options {token, offset, length}, ended by 0xff; token 0 is the
// version: major, minor, build of two bytes, and two more.
func decodeTDS(answer []byte, s *exposure.Service) {
	if len(answer) < 8 {
		return
	}
	body := answer[8:]
	list := cursor{rest: body}
	for {
		token, at, n := list.u8(), list.u16(), list.u16()
		if list.bad || token == 0xff {
			return
		}
		if token != 0 || n < 4 {
			continue
		}
		v := cursor{rest: body}
		v.skip(at)
		major, minor, build := v.u8(), v.u8(), v.u16()
		if v.bad {
			return
		}
		s.Version = dotted(uint32(major), uint32(minor), uint32(build))
		s.Product = strings.TrimSpace("Microsoft SQL Server " + sqlServerYear(major, minor))
		return
	}
}

// sqlServerYear is the name under which a version is sold.
func sqlServerYear(major, minor int) string {
	if major == 10 && minor >= 50 {
		return "2008 R2"
	}
	return map[int]string{8: "2000", 9: "2005", 10: "2008", 11: "2012", 12: "2014", 13: "2016", 14: "2017",
		15: "2019", 16: "2022", 17: "2025"}[major]
}

// vsnnum finds the version number in a listener's answer.
var vsnnum = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(VSNNUM=(\d{1,10})\)`) })

// decodeTNS reads Oracle's VSNNUM: five numbers packed into 32 bits, in 8, 4,
// 8, 4 and 8 bits; since 18c in 8, 8, 4, 8 and 4.
func decodeTNS(answer []byte, s *exposure.Service) {
	m := vsnnum().FindSubmatch(answer)
	if m == nil {
		return
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 32)
	if err != nil || n>>24 == 0 {
		return
	}
	v := uint32(n)
	if v>>24 >= 18 {
		s.Version = dotted(v>>24, v>>16&0xff, v>>12&0xf, v>>4&0xff, v&0xf)
		return
	}
	s.Version = dotted(v>>24, v>>20&0xf, v>>12&0xff, v>>8&0xf, v&0xff)
}

// decodeDRDA reads the server's release level from EXCSATRD (DRDA volume 3):
// objects of length, code point and value; 0x115A holds as SQL11055, in
// EBCDIC: product letters, then version, release and level.
func decodeDRDA(answer []byte, s *exposure.Service) {
	c := cursor{rest: answer}
	c.skip(6 + 4) // the DSS and the object's own header
	for len(c.rest) >= 4 {
		n, point := c.u16(), c.u16()
		value := c.take(n - 4)
		if c.bad {
			return
		}
		if text := ebcdic(value); point == 0x115a && printable([]byte(text)) {
			s.Version = release(text)
		}
	}
}

// release writes SQL11055 as 11.5.5, other forms as they are.
func release(text string) string {
	if len(text) != 8 {
		return text
	}
	n, err := strconv.Atoi(text[3:])
	if err != nil || n < 0 {
		return text
	}
	return dotted(uint32(n)/1000, uint32(n)/10%100, uint32(n)%10)
}

// ebcdic decodes letters, digits and a little punctuation of code page 037;
// other bytes become control characters.
func ebcdic(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		switch hi, lo := c>>4, c&15; {
		case c == 0x40:
			out.WriteByte(' ')
		case c == 0x4b:
			out.WriteByte('.')
		case c == 0x61:
			out.WriteByte('/')
		case hi == 0xf && lo <= 9:
			out.WriteByte('0' + lo)
		case (hi == 0xc || hi == 8) && lo >= 1 && lo <= 9:
			out.WriteByte('A' + lo - 1)
		case (hi == 0xd || hi == 9) && lo >= 1 && lo <= 9:
			out.WriteByte('J' + lo - 1)
		case (hi == 0xe || hi == 0xa) && lo >= 2 && lo <= 9:
			out.WriteByte('S' + lo - 2)
		default:
			out.WriteByte(1)
		}
	}
	return out.String()
}

// decodeX11 reads the setup success (X protocol, chapter 8) of a little-endian
// client: release number at byte 8, length of the vendor's name at 24, the name
// at 40. X.Org releases are packed decimals, as 12101007 for 21.1.7.
func decodeX11(answer []byte, s *exposure.Service) {
	if len(answer) < 40 {
		return
	}
	release := binary.LittleEndian.Uint32(answer[8:])
	name := cursor{rest: answer[40:]}
	vendor := name.take(int(binary.LittleEndian.Uint16(answer[24:])))
	if !printable(vendor) {
		return
	}
	s.Product = string(vendor)
	if strings.Contains(s.Product, "X.Org") && release > 10000000 {
		s.Version = xorg(release)
	}
}

// xorg unpacks a release; from 1.20 on the leading 1 is no more part of the
// version's name.
func xorg(release uint32) string {
	major, minor, patch := release/10000000, release/100000%100, release/1000%100
	if minor > 20 {
		return dotted(minor, patch, release%1000)
	}
	return dotted(major, minor, patch)
}
