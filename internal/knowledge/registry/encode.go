package registry

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Encode writes entries as Decode reads them. The same entries give the same
// bytes, whatever their order. Two entries for one (transport, port), a name
// with a space and a text with U+0000 are errors.
func Encode(entries []Entry) ([]byte, error) {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b Entry) int {
		if a.Transport != b.Transport {
			return int(a.Transport) - int(b.Transport)
		}
		return int(a.Port) - int(b.Port)
	})
	if err := checkEncodable(sorted); err != nil {
		return nil, err
	}
	w := writer{ids: map[string]int{}}
	for _, e := range sorted {
		w.add(e)
	}
	if len(w.texts) > math.MaxUint16+1 {
		return nil, fmt.Errorf("encode port registry: %d distinct records, at most %d fit", len(w.texts), math.MaxUint16+1)
	}
	return w.bytes(), nil
}

func checkEncodable(sorted []Entry) error {
	for i, e := range sorted {
		at := fmt.Sprintf("%d/%s", e.Port, e.Transport)
		if e.Transport.String() == "" {
			return fmt.Errorf("encode port registry: port %d: unknown transport %d", e.Port, int(e.Transport))
		}
		if i > 0 && sorted[i-1].Transport == e.Transport && sorted[i-1].Port == e.Port {
			return fmt.Errorf("encode port registry: %s occurs twice", at)
		}
		for _, n := range e.Names {
			if f := strings.Fields(n); len(f) != 1 || f[0] != n || strings.Contains(n, "\x00") {
				return fmt.Errorf("encode port registry: %s: %q is no service name", at, n)
			}
		}
		if strings.Contains(e.Description, "\x00") {
			return fmt.Errorf("encode port registry: %s: the description has a zero byte", at)
		}
	}
	return nil
}

// writer collects distinct records in the order of their first entry.
type writer struct {
	ids     map[string]int
	texts   []string
	entries []byte
	counts  [transports]uint32
}

func (w *writer) add(e Entry) {
	text := strings.Join(e.Names, " ") + "\x00" + e.Description
	id, ok := w.ids[text]
	if !ok {
		id = len(w.texts)
		w.ids[text] = id
		w.texts = append(w.texts, text)
	}
	w.counts[e.Transport]++
	w.entries = binary.BigEndian.AppendUint16(w.entries, e.Port)
	w.entries = binary.BigEndian.AppendUint16(w.entries, uint16(id))
}

func (w *writer) bytes() []byte {
	out := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(w.texts)))
	for _, n := range w.counts {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	out = append(out, w.entries...)
	offset := 0
	for _, t := range w.texts {
		out = binary.BigEndian.AppendUint32(out, uint32(offset))
		offset += len(t)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(offset))
	return append(out, strings.Join(w.texts, "")...)
}
