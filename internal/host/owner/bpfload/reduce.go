package bpfload

import (
	"bytes"
	"fmt"
)

// maxTypes bounds a reduced BTF: what a dozen structures contain is some
// hundred types.
const maxTypes = 1 << 14

// Reduced is the part of the kernel's BTF that a program needs.
type Reduced struct {
	BTF  []byte // a BTF blob of its own
	Func uint32 // the number, in the kernel's BTF, of the function asked for
}

// Reduce copies the structures and unions with the names, and all that they
// contain, out of the kernel's BTF, and finds a function by name. A name that
// the kernel does not have is left out.
func Reduce(raw []byte, names []string, function string) (Reduced, error) {
	types, strings, err := header(raw)
	if err != nil {
		return Reduced{}, err
	}
	t := &table{types: types, strings: strings}
	roots, fn, err := t.find(names, function)
	if err != nil {
		return Reduced{}, err
	}
	if fn == 0 {
		return Reduced{}, fmt.Errorf("the kernel has no function %s", function)
	}
	c := &copier{from: t, ids: map[uint32]uint32{}, strings: []byte{0}, texts: map[uint32]uint32{}}
	for _, id := range roots {
		c.id(id)
	}
	blob, err := c.blob()
	return Reduced{BTF: blob, Func: fn}, err
}

func (t *table) find(names []string, function string) (roots []uint32, fn uint32, err error) {
	var first [256]bool
	for _, name := range names {
		if name != "" {
			first[name[0]] = true
		}
	}
	err = t.scan(func(id uint32, kind int, name uint32) {
		switch {
		case kind == kindFunc:
			if t.is(name, function) {
				fn = id
			}
		case kind == kindStruct || kind == kindUnion:
			if uint64(name) < uint64(len(t.strings)) && first[t.strings[name]] && t.among(name, names) {
				roots = append(roots, id)
			}
		}
	})
	return roots, fn, err
}

func (t *table) among(name uint32, names []string) bool {
	for _, n := range names {
		if t.is(name, n) {
			return true
		}
	}
	return false
}

// copier copies types and gives them new numbers in the order in which they
// are met.
type copier struct {
	from    *table
	ids     map[uint32]uint32 // number in the kernel → new number
	queue   []uint32          // numbers in the kernel, by new number - 1
	strings []byte
	texts   map[uint32]uint32 // offset of a string in the kernel → new offset
}

func (c *copier) id(old uint32) uint32 {
	if old == 0 {
		return 0
	}
	if id, ok := c.ids[old]; ok {
		return id
	}
	c.queue = append(c.queue, old)
	id := uint32(len(c.queue))
	c.ids[old] = id
	return id
}

func (c *copier) text(old uint32) uint32 {
	if old == 0 {
		return 0
	}
	off, ok := c.texts[old]
	if !ok {
		off = uint32(len(c.strings))
		c.strings = append(append(c.strings, c.from.text(old)...), 0)
		c.texts[old] = off
	}
	return off
}

func (c *copier) blob() ([]byte, error) {
	var types []byte
	for i := 0; i < len(c.queue); i++ { // the queue grows meanwhile
		if i >= maxTypes {
			return nil, fmt.Errorf("%w: more than %d types", errBTF, maxTypes)
		}
		b, r, err := c.from.at(c.queue[i])
		if err != nil {
			return nil, err
		}
		b = bytes.Clone(b)
		c.rewrite(b, r)
		types = append(types, b...)
	}
	head := make([]byte, headerSize)
	order.PutUint16(head, btfMagic)
	head[2] = 1
	for i, v := range []int{headerSize, 0, len(types), len(types), len(c.strings)} {
		order.PutUint32(head[4+4*i:], uint32(v))
	}
	return append(append(head, types...), c.strings...), nil
}

// rewrite gives a copied type its new strings and numbers. Pointers lead to
// void: CO-RE never looks behind them.
func (c *copier) rewrite(b []byte, r record) {
	put := func(at int, new func(uint32) uint32) { order.PutUint32(b[at:], new(order.Uint32(b[at:]))) }
	put(0, c.text)
	switch r.kind {
	case kindPtr:
		order.PutUint32(b[8:], 0)
	case kindTypedef, kindVolatile, kindConst, kindRestrict, kindTypeTag:
		put(8, c.id)
	case kindArray:
		put(typeSize, c.id)
		put(typeSize+4, c.id)
	case kindStruct, kindUnion:
		for at := typeSize; at < len(b); at += memberSize {
			put(at, c.text)
			put(at+4, c.id)
		}
	case kindEnum:
		for at := typeSize; at < len(b); at += 8 {
			put(at, c.text)
		}
	case kindEnum64:
		for at := typeSize; at < len(b); at += 12 {
			put(at, c.text)
		}
	}
}
