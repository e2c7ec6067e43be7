//go:build !linux

package holders

import "context"

// Iterate is Linux only: ErrUnsupported.
func Iterate(context.Context, bool) ([]Record, error) { return nil, ErrUnsupported }

// Walk is Linux only: ErrUnsupported.
func Walk(context.Context, WalkOptions) (Walked, error) { return Walked{}, ErrUnsupported }

// SameNamespace is Linux only: false.
func SameNamespace(string) bool { return false }

// ReadPrivilege is Linux only: none.
func ReadPrivilege(string) Privilege { return Privilege{} }

// Outside is Linux only: false.
func Outside() bool { return false }
