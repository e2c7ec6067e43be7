//go:build !linux

package cli

// replaceable: only Linux has systemd, and the installing is refused there for
// want of it.
func replaceable(string) string { return "" }
