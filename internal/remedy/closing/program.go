package closing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// programError is a program that failed, with what it said.
type programError struct {
	name, said string
	err        error
}

func (e *programError) Error() string {
	if strings.TrimSpace(e.said) == "" {
		return fmt.Sprintf("%s: %v", e.name, e.err)
	}
	return fmt.Sprintf("%s: %s (%v)", e.name, strings.TrimSpace(e.said), e.err)
}

func (e *programError) Unwrap() error { return e.err }

func sortedKeys[K ~string | ~int, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
