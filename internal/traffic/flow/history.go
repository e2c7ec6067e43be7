package flow

// maxHistory and maxLong bound what hostile packets can make of histories; more
// letters are left out.
const (
	maxHistory = 255
	maxLong    = 1 << 14
)

// letter appends to a flow's history. Upper case is side 0 here, whoever is the
// client in the end.
func (t *Table) letter(number uint32, side int, c byte) {
	if side == 1 {
		c |= 0x20
	}
	h := t.rest(number)
	n := int(h.letters)
	switch {
	case n < shortHistory:
		h.history[n] = c
	case n == maxHistory:
		return
	default:
		long := t.long[number]
		if long == nil && len(t.long) >= maxLong {
			return
		}
		t.long[number] = append(long, c)
	}
	h.letters++
}

// once appends a letter that a history has once a side.
func (t *Table) once(number uint32, r *record, side int, m marks, c byte) (before bool) {
	e := &r.end[side]
	if e.marks&m != 0 {
		return true
	}
	e.marks |= m
	t.letter(number, side, c)
	return false
}

// scaled appends a letter for the 1st, 10th, 100th … time.
func (t *Table) scaled(number uint32, side int, count *uint32, c byte) {
	if *count == ^uint32(0) {
		return
	}
	*count++
	for n := uint32(1); n <= *count; n *= 10 {
		if n == *count {
			t.letter(number, side, c)
		}
		if n >= 1e9 {
			return
		}
	}
}

// readHistory gives the history as Zeek writes it for the given client side.
func (t *Table) readHistory(number uint32, client int) string {
	r := t.rest(number)
	b := t.scratch[:0]
	if client == 1 && r.letters > 0 {
		b = append(b, '^')
	}
	at := len(b)
	b = append(b, r.history[:min(int(r.letters), shortHistory)]...)
	if r.letters > shortHistory {
		b = append(b, t.long[number]...)
	}
	if client == 1 {
		for i := at; i < len(b); i++ {
			b[i] ^= 0x20
		}
	}
	t.scratch = b
	return t.intern(b)
}

// maxWords bounds the histories that are kept as strings.
const maxWords = 1 << 12

// intern gives the string of b; most flows share few histories.
func (t *Table) intern(b []byte) string {
	if s, ok := t.words[string(b)]; ok {
		return s
	}
	if len(t.words) >= maxWords {
		clear(t.words)
	}
	s := string(b)
	t.words[s] = s
	return s
}
