package bpfload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Kinds of types (include/uapi/linux/btf.h).
const (
	kindInt = iota + 1
	kindPtr
	kindArray
	kindStruct
	kindUnion
	kindEnum
	kindFwd
	kindTypedef
	kindVolatile
	kindConst
	kindRestrict
	kindFunc
	kindFuncProto
	kindVar
	kindDatasec
	kindFloat
	kindDeclTag
	kindTypeTag
	kindEnum64
)

const (
	btfMagic   = 0xeb9f
	headerSize = 24 // struct btf_header
	typeSize   = 12 // struct btf_type
	memberSize = 12 // struct btf_member
)

var errBTF = errors.New("not BTF as this program knows it")

// order is the kernel's: BTF is in the byte order of the machine.
var order = binary.NativeEndian

// table is a parsed BTF blob.
type table struct {
	types, strings []byte
	offsets        []uint32 // of every type; type 0, void, has none
}

// header splits a blob into its types and its strings.
func header(raw []byte) (types, strings []byte, err error) {
	if len(raw) < headerSize || order.Uint16(raw) != btfMagic || raw[2] != 1 {
		return nil, nil, fmt.Errorf("%w: header", errBTF)
	}
	at := uint64(order.Uint32(raw[4:]))
	section := func(off, size uint32) []byte {
		from, to := at+uint64(off), at+uint64(off)+uint64(size)
		if at < headerSize || to > uint64(len(raw)) {
			return nil
		}
		return raw[from:to]
	}
	types = section(order.Uint32(raw[8:]), order.Uint32(raw[12:]))
	strings = section(order.Uint32(raw[16:]), order.Uint32(raw[20:]))
	if len(types) == 0 || len(strings) == 0 || strings[len(strings)-1] != 0 {
		return nil, nil, fmt.Errorf("%w: sections", errBTF)
	}
	return types, strings, nil
}

// record is one type: its kind, the number of its parts and its whole length.
type record struct {
	kind, parts, size int
}

func readRecord(b []byte) (record, error) {
	if len(b) < typeSize {
		return record{}, fmt.Errorf("%w: type cut short", errBTF)
	}
	info := order.Uint32(b[4:])
	r := record{kind: int(info >> 24 & 0x1f), parts: int(info & 0xffff)}
	extra, known := r.extra()
	r.size = typeSize + extra
	if !known || r.size > len(b) {
		return record{}, fmt.Errorf("%w: type of kind %d", errBTF, r.kind)
	}
	return r, nil
}

// extra is how much follows a type of this kind.
func (r record) extra() (size int, known bool) {
	switch r.kind {
	case kindPtr, kindFwd, kindTypedef, kindVolatile, kindConst, kindRestrict, kindFunc, kindFloat, kindTypeTag:
		return 0, true
	case kindInt, kindVar, kindDeclTag:
		return 4, true
	case kindArray:
		return 12, true
	case kindStruct, kindUnion, kindDatasec, kindEnum64:
		return r.parts * 12, true
	case kindEnum, kindFuncProto:
		return r.parts * 8, true
	}
	return 0, false
}

// scan lists all types and calls each for those that have a name.
func (t *table) scan(each func(id uint32, kind int, name uint32)) error {
	t.offsets = append(make([]uint32, 0, len(t.types)/24), 0)
	for off := 0; off < len(t.types); {
		r, err := readRecord(t.types[off:])
		if err != nil {
			return err
		}
		if name := order.Uint32(t.types[off:]); name != 0 {
			each(uint32(len(t.offsets)), r.kind, name)
		}
		t.offsets = append(t.offsets, uint32(off))
		off += r.size
	}
	return nil
}

// text gives the string at an offset; "" outside of the table.
func (t *table) text(off uint32) []byte {
	if uint64(off) >= uint64(len(t.strings)) {
		return nil
	}
	s := t.strings[off:]
	return s[:bytes.IndexByte(s, 0)]
}

// is compares a string without looking for its end first.
func (t *table) is(off uint32, name string) bool {
	end := uint64(off) + uint64(len(name))
	return end < uint64(len(t.strings)) && t.strings[end] == 0 && string(t.strings[off:end]) == name
}

// at gives a type's bytes.
func (t *table) at(id uint32) ([]byte, record, error) {
	if id == 0 || uint64(id) >= uint64(len(t.offsets)) {
		return nil, record{}, fmt.Errorf("%w: no type %d", errBTF, id)
	}
	b := t.types[t.offsets[id]:]
	r, err := readRecord(b)
	if err != nil {
		return nil, record{}, err
	}
	return b[:r.size], r, nil
}
