package identify

import (
	"bytes"
	"regexp"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

// decodeModbus reads Read Device Identification (Modbus application protocol
// 1.1b3, section 6.21): after the 7-byte header and 7 bytes of the answer
// come objects {id, length, text}: 0 vendor, 1 product code, 2 revision.
func decodeModbus(answer []byte, s *exposure.Service) {
	c := cursor{rest: answer}
	c.skip(7 + 6)
	for range c.u8() {
		id := c.u8()
		text := c.take(c.u8())
		if c.bad {
			return
		}
		if !printable(text) {
			continue
		}
		switch id {
		case 0, 1:
			s.Product = strings.TrimSpace(s.Product + " " + string(text))
		case 2:
			s.Version = string(text)
		}
	}
}

// decodeENIP reads ListIdentity (CIP volume 2, section 2-4.2.3): the identity
// item's revision, and the product's name as length and text.
func decodeENIP(answer []byte, s *exposure.Service) {
	c := cursor{rest: answer}
	c.skip(24 + 2 + 4 + 2 + 16 + 6) // to behind vendor, type and product code
	major, minor := c.u8(), c.u8()
	c.skip(6)
	name := c.take(c.u8())
	if c.bad || !printable(name) {
		return
	}
	s.Product, s.Version = strings.TrimSpace(string(name)), dotted(uint32(major), uint32(minor))
}

// orderNumber is a Siemens order number, as 6ES7 315-2EH14-0AB0.
var orderNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`6[A-Z][A-Z0-9]{2} ?[A-Z0-9]{3}-[A-Z0-9]{5}-[A-Z0-9]{4}`)
})

// firmwareEntry is the index of the basic firmware in the module
// identification list (SZL 0x0011): 28-byte records of index, 20 bytes of order
// number, type, and two words: 'V' and version, release and level.
const firmwareEntry = 7

// decodeS7 reads a module identification.
func decodeS7(answer []byte, s *exposure.Service) {
	at := orderNumber().FindIndex(answer)
	if at == nil || at[0] < 2 {
		return
	}
	s.Product = "Siemens S7 " + string(bytes.TrimSpace(answer[at[0]:at[1]]))
	c := cursor{rest: answer[at[0]-2:]}
	for len(c.rest) >= 28 {
		record := c.take(28)
		if record[0] == 0 && record[1] == firmwareEntry && record[24] == 'V' {
			s.Version = dotted(uint32(record[25]), uint32(record[26]), uint32(record[27]))
		}
	}
}
