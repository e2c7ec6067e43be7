//go:build !linux

package flow

import "unsafe"

// inLargePages does nothing where memory cannot be advised so.
func inLargePages(unsafe.Pointer, uintptr) {}
