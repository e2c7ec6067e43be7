package nftables

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// TableID names a table.
type TableID struct{ Family, Name string }

// ChainID names a chain.
type ChainID struct {
	TableID
	Chain string
}

// Facts are what the kernel says and nft may not print.
type Facts struct {
	Dormant map[TableID]bool
	Devices map[ChainID][]string
}

// Table is a table that was read. Chains of families that see no routed
// packets (bridge, arp) are left out; dormant tables have no chains.
type Table struct {
	TableID
	Chains []*ruleset.Chain
	// Extensions: rules use x_tables extensions, whose arguments nft's JSON
	// does not show; iptables-nft-save shows them.
	Extensions bool
}

// ErrFormat is returned for what is not nft's JSON.
var ErrFormat = errors.New("not the JSON of `nft -j list ruleset`")

// Read reads a whole document. Objects that are not understood are no error.
func Read(in io.Reader, facts Facts) ([]*Table, error) {
	var doc struct {
		Nftables []map[string]any `json:"nftables"`
	}
	dec := json.NewDecoder(in)
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if doc.Nftables == nil {
		return nil, fmt.Errorf("%w: no list \"nftables\"", ErrFormat)
	}
	r, err := newReader(facts)
	if err != nil {
		return nil, err
	}
	r.declare(doc.Nftables)
	r.rules(doc.Nftables)
	return r.order, nil
}

// reader holds what one document declares.
type reader struct {
	facts  Facts
	names  map[string]map[string]uint64
	fields map[string]fieldSpec
	order  []*Table
	tables map[TableID]*Table
	chains map[ChainID]*ruleset.Chain
	sets   map[ChainID]object
	limits map[ChainID]object
	quotas map[ChainID]object
	cache  map[cacheKey]ruleset.Set
}

// object is a JSON object.
type object = map[string]any

type cacheKey struct {
	set  ChainID
	kind string
}

func newReader(facts Facts) (*reader, error) {
	r := &reader{facts: facts, tables: map[TableID]*Table{}, chains: map[ChainID]*ruleset.Chain{},
		sets: map[ChainID]object{}, limits: map[ChainID]object{}, quotas: map[ChainID]object{}, cache: map[cacheKey]ruleset.Set{}}
	var err error
	if r.names, err = readNames(namesData); err != nil {
		return nil, err
	}
	r.fields, err = readFields(fieldsData)
	return r, err
}

// declare takes tables, chains, sets and objects; rules come later, since
// they may name what follows them.
func (r *reader) declare(list []map[string]any) {
	for _, entry := range list {
		for kind, v := range entry {
			o, ok := v.(object)
			if !ok {
				continue
			}
			id := ChainID{TableID{text(o["family"]), text(o["table"])}, text(o["name"])}
			switch kind {
			case "table":
				r.table(TableID{id.Family, id.Chain})
			case "chain":
				r.chain(id, o)
			case "set", "map":
				r.sets[id] = o
			case "limit":
				r.limits[id] = o
			case "quota":
				r.quotas[id] = o
			}
		}
	}
}

func (r *reader) table(id TableID) *Table {
	if t := r.tables[id]; t != nil {
		return t
	}
	t := &Table{TableID: id}
	r.tables[id] = t
	r.order = append(r.order, t)
	return t
}

func (r *reader) chain(id ChainID, o object) {
	families := familiesOf(id.Family)
	if families == 0 {
		return
	}
	ch := &ruleset.Chain{Families: families, Name: id.Chain, Title: id.Family + " " + id.Name + " " + id.Chain, Policy: ruleset.Accept}
	r.chains[id] = ch
	ch.Hook = hookOf(text(o["hook"]))
	if text(o["policy"]) == "drop" {
		ch.Policy = ruleset.Drop
	}
	if n, ok := integer(o["prio"]); ok {
		ch.Priority = int(n)
	}
	switch text(o["type"]) {
	case "nat":
		ch.Kind = ruleset.NATChain
	case "route":
		ch.Kind = ruleset.RouteChain
	}
	if ch.Hook == ruleset.Ingress {
		r.devices(id, ch, o)
	}
	if r.facts.Dormant[id.TableID] {
		return
	}
	t := r.table(id.TableID)
	t.Chains = append(t.Chains, ch)
}

// devices takes an ingress chain's devices from the document or the facts.
func (r *reader) devices(id ChainID, ch *ruleset.Chain, o object) {
	for _, dev := range append(list(o["dev"]), list(o["devs"])...) {
		ch.Devices = append(ch.Devices, text(dev))
	}
	if known, ok := r.facts.Devices[id]; ok {
		ch.Devices = known
		return
	}
	ch.DevicesUnknown = len(ch.Devices) == 0
}

func familiesOf(family string) ruleset.Families {
	switch family {
	case "ip":
		return ruleset.IPv4
	case "ip6":
		return ruleset.IPv6
	case "inet", "netdev":
		return ruleset.IPv4 | ruleset.IPv6
	}
	return 0
}

func hookOf(name string) ruleset.Hook {
	switch name {
	case "ingress":
		return ruleset.Ingress
	case "prerouting":
		return ruleset.Prerouting
	case "input":
		return ruleset.Input
	case "forward":
		return ruleset.Forward
	case "output":
		return ruleset.Output
	case "postrouting":
		return ruleset.Postrouting
	}
	return ruleset.NoHook
}

func (r *reader) rules(list []map[string]any) {
	for _, entry := range list {
		o, ok := entry["rule"].(object)
		if !ok {
			continue
		}
		id := ChainID{TableID{text(o["family"]), text(o["table"])}, text(o["chain"])}
		ch := r.chains[id]
		if ch == nil {
			continue
		}
		handle, _ := integer(o["handle"])
		line, _ := integer(o["line"]) // of a text; JSON has none
		rr := &ruleReader{reader: r, id: id.TableID, families: ch.Families,
			rule: &ruleset.Rule{Handle: int(handle), Line: int(line), Comment: text(o["comment"])}}
		rr.read(o["expr"])
		ch.Rules = append(ch.Rules, rr.rule)
	}
}

// ruleReader reads one rule.
type ruleReader struct {
	*reader
	id       TableID
	families ruleset.Families
	rule     *ruleset.Rule
}

func (rr *ruleReader) read(exprs any) {
	var words []string
	for _, e := range list(exprs) {
		o, ok := e.(object)
		if !ok || len(o) != 1 {
			o = object{"unknown": e}
		}
		for kind, arg := range o {
			words = append(words, statementText(kind, arg))
			rr.statement(kind, arg)
		}
	}
	rr.rule.Text = joinWords(words)
}

func (rr *ruleReader) add(steps ...ruleset.Step) {
	rr.rule.Steps = append(rr.rule.Steps, steps...)
}

func (rr *ruleReader) match(e ruleset.Expr) { rr.add(ruleset.Match{Expr: e}) }

// list gives a JSON list, a single value as a list of one, null as none.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func integer(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}

// compact writes a JSON value in one line, for what has no better words.
func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return "?"
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
