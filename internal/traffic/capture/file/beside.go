package file

import "fmt"

// Block types whose content nothing is taken from. They are looked through all
// the same: what is damaged there tells that the file is.
const (
	blockNames   = 4  // draft-ietf-opsawg-pcapng, 4.5
	blockSecrets = 10 // 4.7
)

// Records of a name resolution block (4.5).
const (
	nameEnd  = 0
	nameIPv4 = 1
	nameIPv6 = 2
)

// beside looks through a block that has neither packets nor what belongs to
// them. Blocks without a layout that all writers share are left alone.
func (f *pcapng) beside(kind uint32, body []byte) {
	switch kind {
	case blockNames:
		f.names(body)
	case blockSecrets:
		f.secrets(body)
	}
}

// options goes through options that nothing is taken from.
func (f *pcapng) options(b []byte) {
	for more := true; more; {
		_, _, b, more = f.option(b)
	}
}

// names goes through records of addresses with their names, each ended by a
// zero, and the options behind them.
func (f *pcapng) names(b []byte) {
	for len(b) >= 4 {
		kind, size := f.u16(b), int(f.u16(b[2:]))
		b = b[4:]
		if kind == nameEnd {
			if size != 0 {
				f.step(fmt.Sprintf("an end of name records that is %d bytes long", size))
			}
			f.options(b)
			return
		}
		if size > len(b) {
			f.step(fmt.Sprintf("a name record of %d bytes where %d are left", size, len(b)))
			return
		}
		f.nameRecord(kind, b[:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}

func (f *pcapng) nameRecord(kind uint16, record []byte) {
	addr := map[uint16]int{nameIPv4: 4, nameIPv6: 16}[kind]
	switch {
	case addr == 0: // a kind that is not known
	case len(record) < addr:
		f.step(fmt.Sprintf("a name record of %d bytes, less than its address has", len(record)))
	case len(record) > addr && record[len(record)-1] != 0:
		f.step("a name record whose name has no end")
	}
}

func (f *pcapng) secrets(b []byte) {
	if len(b) < 8 {
		f.step(fmt.Sprintf("a secrets block of %d bytes", len(b)+blockFrame))
		return
	}
	size, b := uint64(f.u32(b[4:])), b[8:]
	if size > uint64(len(b)) {
		f.step(fmt.Sprintf("secrets of %d bytes in a block with room for %d", size, len(b)))
		return
	}
	f.options(b[min((size+3)&^3, uint64(len(b))):])
}
