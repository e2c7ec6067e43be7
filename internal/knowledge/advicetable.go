package knowledge

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
)

//go:embed data/advice.json.gz
var adviceTable []byte

// openAdvice panics on a damaged table: it is part of the program, and the
// tests unpack the very same bytes.
func openAdvice() *adviceIndex {
	all, err := unpackAdvice(adviceTable)
	if err != nil {
		panic("knowledge: embedded advice table: " + err.Error())
	}
	return indexAdvice(all)
}

// unpackAdvice reads what gen wrote: a compressed JSON list, sorted by id.
func unpackAdvice(table []byte) ([]*Advice, error) {
	z, err := gzip.NewReader(bytes.NewReader(table))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	var all []*Advice
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return all, nil
}
