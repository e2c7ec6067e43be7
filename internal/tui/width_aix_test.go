package tui

// otherWidth has no other measure on AIX, where the library does not build.
func otherWidth(s string) int { return columns(s) }
