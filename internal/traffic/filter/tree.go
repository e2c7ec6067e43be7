package filter

// node is a part of the expression that is true or false for a packet.
type node interface{ where() span }

type (
	// joined of two; word is and or or.
	bothNode struct {
		word string
		l, r node
	}
	notNode struct {
		x  node
		at span
	}
	// idNode is a name, number or address with its qualifiers.
	idNode struct {
		q    qual
		id   token
		mask token // kAddr after "mask", kNum after "/", else kEnd
		at   span
	}
	// protoNode is a protocol's name alone.
	protoNode struct {
		proto string
		at    span
	}
	// compareNode compares two arithmetic expressions.
	compareNode struct {
		op   string
		l, r arith
		at   span
	}
	// wordNode is a primitive of its own: vlan, broadcast, less …, with the
	// protocol before it and what follows it.
	wordNode struct {
		word  string
		proto string
		args  []token
		at    span
	}
)

func (n *bothNode) where() span    { return n.l.where().to(n.r.where()) }
func (n *notNode) where() span     { return n.at.to(n.x.where()) }
func (n *idNode) where() span      { return n.at }
func (n *protoNode) where() span   { return n.at }
func (n *compareNode) where() span { return n.at }
func (n *wordNode) where() span    { return n.at }

// qual are the qualifiers before an id: protocol, direction and type. An id
// without takes those of the id before it; known is false where there is
// none.
type qual struct {
	proto, dir, typ string
	known           bool
}

// arith is an arithmetic expression.
type arith interface{ where() span }

type (
	numArith struct {
		n  uint32
		at span
	}
	lenArith  struct{ at span }
	loadArith struct {
		proto string
		index arith
		size  uint32
		at    span
	}
	opArith struct {
		op   string
		l, r arith
	}
	negArith struct {
		x  arith
		at span
	}
)

func (a *numArith) where() span  { return a.at }
func (a *lenArith) where() span  { return a.at }
func (a *loadArith) where() span { return a.at }
func (a *opArith) where() span   { return a.l.where().to(a.r.where()) }
func (a *negArith) where() span  { return a.at.to(a.x.where()) }
