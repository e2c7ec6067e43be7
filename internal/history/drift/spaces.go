package drift

import (
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// spaces gives network namespaces names that hold in both snapshots.
type spaces struct {
	// byID: the inode numbers mean the same in both (one run of the kernel).
	byID bool
	self [2]exposure.NetNS
	// ids, rows and tables are what each snapshot lists: namespaces by inode
	// and by common name, and protocols of them.
	ids    [2]map[string]bool
	rows   [2]map[string]bool
	tables [2]map[table]bool
	// doubt: the snapshot has a gap that may hide namespaces, or tables that
	// the other could read.
	hidden, unread [2]bool
}

type table struct {
	ns    string
	proto exposure.Proto
}

func index(s side) int {
	if s == isOpen {
		return 1
	}
	return 0
}

// names fills c.spaces.
func (c *comparison) names() {
	a, b := c.before, c.after
	sp := &c.spaces
	sp.byID = a.View.Boot != "" && a.View.Boot == b.View.Boot
	sp.self = [2]exposure.NetNS{a.Self, b.Self}
	for _, which := range []side{wasOpen, isOpen} {
		i := index(which)
		sp.ids[i] = map[string]bool{c.of(which).Self.ID: true}
		for k := range c.of(which).Sockets {
			sp.ids[i][c.of(which).Sockets[k].NetNS.ID] = true
		}
	}
	for _, which := range []side{wasOpen, isOpen} {
		c.count(which)
	}
}

func (c *comparison) count(which side) {
	sp, i, s := &c.spaces, index(which), c.of(which)
	sp.rows[i], sp.tables[i] = map[string]bool{}, map[table]bool{}
	for k := range s.Sockets {
		x := &s.Sockets[k]
		key := sp.key(which, x.NetNS)
		sp.rows[i][key] = true
		sp.tables[i][table{key, x.Proto}] = true
	}
	sp.hidden[i] = len(hostGaps(s.Gaps)) > 0
	for _, g := range hostGaps(onlyIn(s, c.of(!which))) {
		sp.unread[i] = sp.unread[i] || aboutTables(g.Why)
	}
}

// aboutTables: the gap may hide sockets of a namespace that was read. Package
// host begins its gaps about owners and about whole namespaces so; of any
// other the worst is taken.
func aboutTables(why string) bool {
	return !strings.HasPrefix(why, "owners of ") && !strings.HasPrefix(why, "network namespace")
}

// key names a namespace in both snapshots: by its inode within one run of the
// kernel, else by its role: the reader's own, its name.
func (sp *spaces) key(which side, ns exposure.NetNS) string {
	i := index(which)
	switch {
	case sp.byID:
		return ns.ID
	case ns.ID == sp.self[i].ID:
		return "self"
	case ns.Name != "":
		return "name " + ns.Name
	}
	return ns.ID
}

// covers: was the namespace within what the snapshot looked at?
func (sp *spaces) covers(c *comparison, which side, ns exposure.NetNS, key string) bool {
	i := index(which)
	own := sp.key(which, sp.self[i]) == key
	switch v := c.of(which).View.NetNS; v {
	case SelfNetNS:
		return own
	case AllNetNS:
		return own || sp.rows[i][key] || !sp.hidden[i]
	case "":
		return own || sp.rows[i][key]
	default:
		return sp.rows[i][key] || ns.Name == v || ns.ID == v
	}
}

// tableMissing: the snapshot has nothing of this protocol there, and says that
// it could not read everything.
func (sp *spaces) tableMissing(_ *comparison, which side, at place) bool {
	i := index(which)
	return sp.unread[i] && !sp.tables[i][table{at.ns, at.proto}]
}
