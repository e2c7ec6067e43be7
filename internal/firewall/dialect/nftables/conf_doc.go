package nftables

import "slices"

// confDoc is the rule set that a text builds up, command by command.
type confDoc struct {
	tables []*confTable
}

type confTable struct {
	id      TableID
	dormant bool
	chains  []*confChain
	byName  map[string]*confChain
	// named are sets, maps and objects by kind and name.
	named map[[2]string]object
	order [][2]string
}

type confChain struct {
	name  string
	attrs object
	rules []object
}

func (d *confDoc) table(id TableID) *confTable {
	if t := d.find(id); t != nil {
		return t
	}
	t := &confTable{id: id, byName: map[string]*confChain{}, named: map[[2]string]object{}}
	d.tables = append(d.tables, t)
	return t
}

func (d *confDoc) find(id TableID) *confTable {
	for _, t := range d.tables {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (d *confDoc) remove(id TableID) {
	d.tables = slices.DeleteFunc(d.tables, func(t *confTable) bool { return t.id == id })
}

func (t *confTable) chain(name string) *confChain {
	if ch := t.byName[name]; ch != nil {
		return ch
	}
	ch := &confChain{name: name, attrs: object{}}
	t.byName[name] = ch
	t.chains = append(t.chains, ch)
	return ch
}

func (t *confTable) removeChain(name string) {
	delete(t.byName, name)
	t.chains = slices.DeleteFunc(t.chains, func(c *confChain) bool { return c.name == name })
}

// object finds or makes a set, a map or an object.
func (t *confTable) object(kind, name string) object {
	key := [2]string{kind, name}
	if o := t.named[key]; o != nil {
		return o
	}
	o := object{"family": t.id.Family, "table": t.id.Name, "name": name}
	t.named[key] = o
	t.order = append(t.order, key)
	return o
}

func (d *confDoc) dormant() map[TableID]bool {
	out := map[TableID]bool{}
	for _, t := range d.tables {
		if t.dormant {
			out[t.id] = true
		}
	}
	return out
}

// list writes the document as nft's JSON has it.
func (d *confDoc) list() []map[string]any {
	var out []map[string]any
	for _, t := range d.tables {
		out = append(out, object{"table": object{"family": t.id.Family, "name": t.id.Name}})
		for _, key := range t.order {
			if o, ok := t.named[key]; ok {
				out = append(out, object{key[0]: o})
			}
		}
		for _, ch := range t.chains {
			ch.attrs["family"], ch.attrs["table"], ch.attrs["name"] = t.id.Family, t.id.Name, ch.name
			out = append(out, object{"chain": ch.attrs})
		}
		for _, ch := range t.chains {
			for _, r := range ch.rules {
				r["family"], r["table"], r["chain"] = t.id.Family, t.id.Name, ch.name
				out = append(out, object{"rule": r})
			}
		}
	}
	return out
}
