package negotiate

import "container/list"

// askedKey tells one question from others: its protocol, who asks whom, and
// the transaction's number as the protocol has it, left-aligned.
type askedKey struct {
	kind           kind
	proto          uint8
	server, client Endpoint
	id             [12]byte
}

// question is what the answer does not repeat.
type question struct {
	program, version, procedure, transport uint32
	call                                   string
}

// asked are questions without an answer yet, the oldest at the front.
type asked struct {
	max   int
	byKey map[askedKey]*list.Element
	order list.List
}

type waiting struct {
	key  askedKey
	what question
}

func newAsked(limit int) asked { return asked{max: limit, byKey: map[askedKey]*list.Element{}} }

func (a *asked) add(k askedKey, q question) {
	if old := a.byKey[k]; old != nil {
		old.Value.(*waiting).what = q
		a.order.MoveToBack(old)
		return
	}
	for len(a.byKey) >= a.max {
		a.drop(a.order.Front())
	}
	a.byKey[k] = a.order.PushBack(&waiting{k, q})
}

func (a *asked) drop(e *list.Element) {
	a.order.Remove(e)
	delete(a.byKey, e.Value.(*waiting).key)
}

// answered gives a question back. It stays: an answer may be seen twice, and
// a broadcast question has many.
func (a *asked) answered(k askedKey) (question, bool) {
	e := a.byKey[k]
	if e == nil {
		return question{}, false
	}
	return e.Value.(*waiting).what, true
}

func (x *exchange) askedKey(k kind, id []byte) askedKey {
	key := askedKey{kind: k, proto: x.proto, server: x.server, client: x.client}
	copy(key.id[:], id)
	return key
}
