//go:build !linux

package privilege

// Have is empty: this system has no such capabilities.
func Have() (Set, error) { return 0, nil }

// Bounding is empty, like Have.
func Bounding() (Set, error) { return 0, nil }

// Drop returns ErrUnsupported: nothing was given up.
func Drop(Set, ...Also) (dropped Set, err error) { return 0, ErrUnsupported }
