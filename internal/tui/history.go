package tui

// samples is how many reads a history remembers.
const samples = 60

// history is a ring of the last rates, bytes a second.
type history struct {
	ring [samples]float32
	next uint8
	held uint8
}

func (h *history) add(v float64) {
	h.ring[h.next] = float32(v)
	h.next = (h.next + 1) % samples
	h.held = min(h.held+1, samples)
}

// values copies the rates, the oldest first.
func (h *history) values() []float32 {
	if h == nil {
		return nil
	}
	out := make([]float32, 0, h.held)
	for i := range int(h.held) {
		out = append(out, h.ring[(int(h.next)+samples-int(h.held)+i)%samples])
	}
	return out
}

// spark draws the newest values as bars, n columns wide, the newest at the
// right. The highest of them has the full height; nothing is a space.
func (g *glyphs) spark(values []float32, n int) string {
	if n <= 0 {
		return ""
	}
	values = values[max(len(values)-n, 0):]
	var top float32
	for _, v := range values {
		top = max(top, v)
	}
	out := make([]rune, 0, n)
	for range n - len(values) {
		out = append(out, ' ')
	}
	for _, v := range values {
		out = append(out, g.bar(v, top))
	}
	return string(out)
}

func (g *glyphs) bar(v, top float32) rune {
	if v <= 0 || top <= 0 {
		return ' '
	}
	level := int(v / top * float32(len(g.bars)))
	return g.bars[max(min(level, len(g.bars)-1), 0)]
}
