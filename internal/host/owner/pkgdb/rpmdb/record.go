package rpmdb

import "fmt"

// value is one column of a row: an integer, or bytes of text or a blob.
type value struct {
	number int64
	bytes  []byte
}

const maxColumns = 16

// columns takes a row apart (fileformat2, "Record Format").
func columns(payload []byte) ([]value, error) {
	size, n := varint(payload)
	if n == 0 || size > uint64(len(payload)) || size < uint64(n) {
		return nil, fmt.Errorf("%w: record", errFormat)
	}
	types, body := payload[n:size], payload[size:]
	var list []value
	for len(types) > 0 && len(list) < maxColumns {
		kind, n := varint(types)
		if n == 0 {
			return nil, fmt.Errorf("%w: record", errFormat)
		}
		types = types[n:]
		length := widths(kind)
		if length > uint64(len(body)) {
			return nil, fmt.Errorf("%w: record cut short", errFormat)
		}
		list = append(list, decode(kind, body[:length]))
		body = body[length:]
	}
	return list, nil
}

// widths is how many bytes a value of a type takes.
func widths(kind uint64) uint64 {
	switch {
	case kind >= 12:
		return (kind - 12) / 2
	case kind == 5:
		return 6
	case kind == 6 || kind == 7:
		return 8
	case kind <= 4:
		return kind
	}
	return 0 // NULL, the constants 0 and 1, reserved types
}

func decode(kind uint64, b []byte) value {
	switch {
	case kind >= 12:
		return value{bytes: b}
	case kind == 9:
		return value{number: 1}
	case kind == 0 || kind > 6:
		return value{}
	}
	n := int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return value{number: n}
}
