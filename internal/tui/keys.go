package tui

import "strings"

// Messages that the terminal sends to the screen.
type (
	keyMsg struct {
		name string // "ctrl+c", "up", "space", or what it writes
		text string // what it writes; empty where it writes nothing
	}
	sizeMsg  struct{ width, height int }
	pasteMsg string
)

// press does what a key asks for.
func (m *model) press(k keyMsg) {
	switch {
	case k.name == "ctrl+c":
		m.quit = true
	case k.name == "ctrl+z":
		m.suspend = true
	case k.name == "ctrl+l":
		m.redraw = true
	case m.prompt:
		m.typed(k)
	default:
		m.command(k.name)
	}
}

// command does what a key asks for outside the prompt.
func (m *model) command(name string) {
	switch name {
	case "q":
		m.quit = true
	case "?", "h", "f1":
		m.open(help)
	case "e":
		m.open(evidence)
	case "esc", "left", "backspace":
		m.back()
	case "p", "space", " ":
		m.paused = !m.paused
	case "+", "=":
		m.pace(1)
	case "-":
		m.pace(-1)
	case "t":
		m.totals = !m.totals
	case "z":
		m.resets++
	default:
		if !m.moved(name) && m.sheet == noSheet {
			m.listed(name)
		}
	}
}

// open lays a sheet over the list, or takes it away.
func (m *model) open(s sheet) {
	if m.sheet == s {
		s = noSheet
	}
	m.sheet, m.sheetTop = s, 0
}

// moved does what the keys ask for that move; false: it is none of them.
func (m *model) moved(name string) bool {
	page := max(m.room()-1, 1)
	switch name {
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup", "ctrl+b":
		m.move(-page)
	case "pgdown", "ctrl+f":
		m.move(page)
	case "home", "g":
		m.first()
	case "end", "G":
		m.move(1 << 20)
	default:
		return false
	}
	return true
}

// first goes to the top, and stays there whatever comes.
func (m *model) first() {
	m.move(-1 << 20)
	if m.sheet == noSheet {
		m.place.pinned = false
	}
}

// listed does what the keys of a list ask for.
func (m *model) listed(name string) {
	v := m.place.view
	switch name {
	case "1":
		m.show(ports)
	case "2":
		m.show(pairs)
	case "3":
		m.show(flows)
	case "tab":
		m.show((v + 1) % 3)
	case "shift+tab":
		m.show((v + 2) % 3)
	case "enter", "right":
		m.enter()
	}
	if m.place.exact {
		return
	}
	switch name {
	case "s":
		m.sort(m.orders[v].after(v, 1))
	case "S":
		m.sort(m.orders[v].after(v, -1))
	case "r":
		m.sort(order{m.orders[v].key, !m.orders[v].up})
	case "/":
		m.prompt, m.before = true, m.search
	}
}

// maxSearch bounds a filter's length, bytes.
const maxSearch = 80

// typed takes a key of the prompt. The list follows each one.
func (m *model) typed(k keyMsg) {
	switch k.name {
	case "enter":
		m.prompt = false
	case "esc":
		m.prompt = false
		m.narrow(m.before)
	case "backspace":
		m.narrow(head(m.search, columns(m.search)-1))
	case "ctrl+u":
		m.narrow("")
	case "up", "down", "pgup", "pgdown":
		m.moved(k.name)
	default:
		m.paste(k.text)
	}
}

// paste adds text to the filter, of one line and plain.
func (m *model) paste(text string) {
	if !m.prompt || text == "" {
		return
	}
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !plain(r) {
			return -1
		}
		return r
	}, text)
	if len(m.search)+len(text) <= maxSearch {
		m.narrow(m.search + text)
	}
}
