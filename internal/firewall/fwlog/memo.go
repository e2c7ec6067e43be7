package fwlog

import "bytes"

// memo is the time and host that the last line began with: on a busy host most
// lines begin like the one before. What follows from them depends on nothing
// else, so that it can be taken over.
type memo struct {
	head     []byte // up to the blank behind the host
	when     int64
	from, to int // of the host in it
}

// mostMemo bounds what is kept.
const mostMemo = 96

// same takes over what a beginning means, and gives what is behind it.
func (m *memo) same(b []byte, l *line) ([]byte, bool) {
	n := len(m.head)
	if n == 0 || len(b) <= n || !bytes.Equal(b[:n], m.head) {
		return b, false
	}
	host, rest := b[m.from:m.to], b[n:]
	if rest[0] == ' ' || bytes.HasPrefix(rest, host) { // some devices write it twice
		return b, false
	}
	l.when, l.host = m.when, host
	return rest, true
}

// keep notes what the beginning of b, of which rest is left, was read as.
func (m *memo) keep(b, rest []byte, l *line) {
	n := len(b) - len(rest)
	to := n - 1
	from := to - len(l.host)
	if len(l.host) == 0 || n > mostMemo || from <= 0 || b[to] != ' ' || !bytes.Equal(b[from:to], l.host) {
		m.head = m.head[:0]
		return
	}
	m.head, m.when, m.from, m.to = append(m.head[:0], b[:n]...), l.when, from, to
}
