//go:build !aix

package tui

import "charm.land/lipgloss/v2"

// otherWidth measures text as the library below Run does: the oracle of
// columns.
func otherWidth(s string) int { return lipgloss.Width(s) }
