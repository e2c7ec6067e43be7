package ruleset

// Hook is a place in the kernel's packet path.
type Hook uint8

// Hooks, in the order in which an incoming packet meets them.
const (
	NoHook Hook = iota
	Ingress
	Prerouting
	Input
	Forward
	Output
	Postrouting
)

// Kind is what a base chain is for.
type Kind uint8

// Kinds of base chains. NAT chains run at the priority of NAT whatever their
// own, which only orders them among each other (nf_nat_core.c).
const (
	FilterChain Kind = iota
	NATChain
	RouteChain
)

// Verdict is what a rule decides.
type Verdict uint8

// Verdicts.
const (
	Continue Verdict = iota
	Accept
	Drop
	Return
	Jump
	Goto
)

// Families says which packets a chain sees.
type Families uint8

// Families of packets.
const (
	IPv4 Families = 1 << iota
	IPv6
)

// RuleSet is everything that filters in one network namespace.
type RuleSet struct {
	Chains []*Chain
	// Missing says what could not be read, by the packets it concerns.
	Missing []Missing

	base map[Hook][]*Chain
	cuts *portCuts
	plan *plans
}

// Missing is a part of the rule set that could not be read.
type Missing struct {
	Families Families
	Why      string
	// Elsewhere: the source holds no such rules, others may. Only packets that
	// are certainly of these families are concerned.
	Elsewhere bool
}

// Chain is a list of rules; a base chain has a Hook.
type Chain struct {
	Families Families
	Title    string // how people name it: "inet filter input"
	Name     string
	Hook     Hook
	Kind     Kind
	Priority int
	Policy   Verdict // Accept or Drop, of a base chain
	// Devices limits an ingress chain to these interfaces; DevicesUnknown is
	// set where the source does not say which.
	Devices        []string
	DevicesUnknown bool
	// Legacy is set for x_tables chains.
	Legacy bool
	// Bindings are where the chain applies on systems without hooks: an access
	// list on an interface, a security group on a network card. A chain without
	// a hook that has bindings, or whose rule set has no hooks at all, is a list
	// of its own: Policy (Accept or Drop) is what it does with the rest.
	Bindings []Binding
	// Way is which way the packets go that a list is for, where the dialect
	// tells; it matters to packets asked about without a list's name.
	Way Direction
	// Stateful: answers to connections that were permitted pass whatever the
	// rules say, which see only a connection's first packet.
	Stateful bool
	Rules    []*Rule

	items  []item
	mayAct bool // some rule or policy below can drop or change a packet
	open   bool // the end of its rules decides nothing: it goes back to who jumped here
}

// Direction is which way the packets go that a binding is for.
type Direction uint8

// Directions, as seen from the device that filters.
const (
	BothWays Direction = iota
	Inward             // packets that arrive on the interface
	Outward            // packets that leave by it
)

// Binding says where a chain applies. Device is an interface, a zone or
// whatever the dialect binds lists to; a trailing * stands for any ending,
// empty for everywhere.
type Binding struct {
	Device    string
	Direction Direction
	// Addrs are the addresses behind the device, where the source tells: a
	// packet asked about without interfaces meets the list when its destination
	// (inward) or its source (outward) is one of them.
	Addrs Set
}

// Rule is a list of steps taken in order.
type Rule struct {
	Text    string // as its own tool would write it
	Comment string
	Handle  int // nftables; 0 without one
	Line    int // in the file it was read from; 0 without one
	// Packets is how many packets the rule's counter has seen; nil without one.
	Packets *uint64
	Steps   []Step

	guard guard
}

// Step is one thing that a rule does: Match, Decide, Choose, Translate,
// Assign, Untrack or Elsewhere.
type Step interface{ step() }

// Match ends the rule for packets that do not meet the expression.
type Match struct{ Expr }

// Decide gives a verdict. Target is the chain of Jump and Goto. Note is said
// with the verdict ("answered by a SYN proxy").
type Decide struct {
	Verdict Verdict
	Target  *Chain
	Final   bool // no later base chain sees the packet
	Note    string
}

// Choose gives the verdict of the first row that fits (a verdict map);
// without one the rule ends.
type Choose struct {
	Fields []Field
	Rows   []Choice
}

// Choice is one row of a verdict map: a set for each field.
type Choice struct {
	Sets []Set
	Decide
}

// TranslateKind is how a destination is rewritten.
type TranslateKind uint8

// Kinds of destination rewrites. Divert hands the packet to a local socket
// without changing it (TPROXY).
const (
	DNAT TranslateKind = iota
	Redirect
	Divert
	Netmap
	// SourceNAT ends the chain and leaves the destination alone.
	SourceNAT
)

// Translate rewrites the destination and accepts, in this base chain.
type Translate struct {
	Kind     TranslateKind
	Families Families // packets it applies to; others end the rule
	To       []Target // one of these; several are the kernel's choice
	// Fields and Rows choose the target by a map; without a fitting row the
	// rule ends.
	Fields []Field
	Rows   []TargetRow
	// Continues: the rule goes on after it (nftables tproxy).
	Continues bool
	// Unknown says why the target is not understood.
	Unknown string
}

// Target is where a rewrite leads. An empty set leaves that part as it is.
type Target struct {
	Addrs Set
	Ports Set
	// Prefix is the length of the part that Addrs replaces (Netmap), counted
	// in the 128-bit form of addresses.
	Prefix int
	// FirstPort, when set, is the port that Ports starts at in the original
	// packet (a shifted port map: --to 1.2.3.4:80-90/8080).
	FirstPort uint16
}

// TargetRow is one row of a map from fields to a target.
type TargetRow struct {
	Sets []Set
	Target
}

// Assign sets a field: new = (old & Keep) ^ (From & Mask) ^ Xor, or one of
// Values, or a value that is not known (Unknown says why, else it is Open: the
// sender's choice or chance).
type Assign struct {
	Field           Field
	From            Field
	Keep, Mask, Xor Value
	Values          Set
	Open            bool
	Unknown         string
}

// Untrack takes the packet out of connection tracking. It works before
// tracking only.
type Untrack struct{}

// Elsewhere hands the packet to something that decides and is not understood
// (a userspace queue, an unknown target). Why says what.
type Elsewhere struct {
	Why string
	// MayContinue: the packet may also go on with the rule.
	MayContinue bool
}

func (Match) step()     {}
func (Decide) step()    {}
func (Choose) step()    {}
func (Translate) step() {}
func (Assign) step()    {}
func (Untrack) step()   {}
func (Elsewhere) step() {}
