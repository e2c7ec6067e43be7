package tui

// paint colours what words say already. It uses the terminal's own sixteen
// colours, and those few that can be read on dark and on light; without colour
// text goes through as it is, without any escape.
type paint struct{ on bool }

// style is a list of SGR parameters (ECMA-48).
type style string

const (
	marked  style = "7"
	title   style = "1"
	heading style = "1;34" // blue
	bad     style = "1;31" // red
	fine    style = "32"   // green
)

func (p paint) as(s style, text string) string {
	if !p.on || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
