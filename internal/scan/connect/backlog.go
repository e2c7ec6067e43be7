package connect

// backlog is a queue, first in, first out.
type backlog[T any] struct {
	items []T
	head  int
}

func (b *backlog[T]) len() int { return len(b.items) - b.head }

func (b *backlog[T]) push(x T) { b.items = append(b.items, x) }

func (b *backlog[T]) pop() (x T, ok bool) {
	if b.len() == 0 {
		return x, false
	}
	x = b.items[b.head]
	var zero T
	b.items[b.head] = zero
	b.head++
	if b.head*2 > len(b.items) { // what is moved was paid for by what was popped
		n := copy(b.items, b.items[b.head:])
		clear(b.items[n:])
		b.items, b.head = b.items[:n], 0
	}
	return x, true
}

// eagerness decides whether to look for an answer at once. It is tried on the
// first probes and given up, but for a sample, while it finds nothing.
type eagerness struct{ misses, passed int }

const (
	eagerTries  = 64
	eagerSample = 64
)

func (e *eagerness) now() bool {
	if e.misses < eagerTries {
		return true
	}
	e.passed++
	return e.passed%eagerSample == 0
}

func (e *eagerness) result(hit bool) {
	if hit {
		e.misses = 0
		return
	}
	e.misses++
}
