package watch

// recent is a map that holds at most about limit entries: when half of them
// are new, the older half is let go.
type recent[K comparable, V any] struct {
	limit    int
	now, old map[K]V
	// gone is called for each entry that is let go; it may be nil.
	gone func(K, V)
}

func newRecent[K comparable, V any](limit int, gone func(K, V)) *recent[K, V] {
	return &recent[K, V]{limit: max(limit, 2), now: map[K]V{}, old: map[K]V{}, gone: gone}
}

func (r *recent[K, V]) get(k K) (V, bool) {
	if v, ok := r.now[k]; ok {
		return v, true
	}
	v, ok := r.old[k]
	return v, ok
}

// put stores v as the newest.
func (r *recent[K, V]) put(k K, v V) {
	delete(r.old, k)
	r.now[k] = v
	if len(r.now) >= r.limit/2 {
		r.turn()
	}
}

func (r *recent[K, V]) turn() {
	if r.gone != nil {
		for k, v := range r.old {
			r.gone(k, v)
		}
	}
	r.old, r.now = r.now, make(map[K]V, r.limit/2)
}

func (r *recent[K, V]) drop(k K) {
	delete(r.now, k)
	delete(r.old, k)
}

// each visits all entries; drop may be called for the one at hand.
func (r *recent[K, V]) each(visit func(K, V)) {
	for k, v := range r.old {
		visit(k, v)
	}
	for k, v := range r.now {
		visit(k, v)
	}
}

func (r *recent[K, V]) size() int { return len(r.now) + len(r.old) }
