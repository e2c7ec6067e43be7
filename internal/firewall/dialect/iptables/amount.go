package iptables

import (
	"strconv"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// amount reads conditions on how much came before: a stranger's first packet
// is within any rate and above none.
func (rr *ruleReader) amount(g group) error {
	switch g.name {
	case "limit":
		rr.match(ruleset.Const{Holds: true, Note: "within its rate"})
		return nil
	case "recent":
		return rr.recent(g)
	}
	for _, o := range g.opts {
		if err := rr.amountOption(g, o); err != nil {
			return err
		}
	}
	return nil
}

func (rr *ruleReader) amountOption(g group, o option) error {
	switch o.name {
	case "--hashlimit-upto", "--hashlimit":
		rr.match(ruleset.Const{Holds: !o.not, Note: "within its rate"})
	case "--hashlimit-above":
		rr.match(ruleset.Const{Holds: o.not, Note: "within its rate"})
	case "--connlimit-above", "--connlimit-upto", "--quota":
		n, err := strconv.ParseUint(o.arg(), 10, 64)
		if err != nil {
			return badArgument(o)
		}
		// The first connection counts as one.
		holds := n > 0
		if o.name == "--connlimit-above" {
			holds = n == 0
		}
		rr.match(ruleset.Const{Holds: holds != o.not, Note: "within its number"})
	case "--connbytes":
		rr.match(maybeNot(ruleset.Atom{Key: g.text(), Why: "the match " + g.text(), Lean: ruleset.UsuallyFalse}, o.not))
	}
	return nil // the other options say how to count
}

// recent reads lists of addresses seen before. A stranger's first packet has
// no hits yet; whether his address is on a list is his to know.
func (rr *ruleReader) recent(g group) error {
	name, hits := "DEFAULT", uint64(0)
	var do option
	for _, o := range g.opts {
		switch o.name {
		case "--name":
			name = o.arg()
		case "--hitcount":
			n, err := strconv.ParseUint(o.arg(), 0, 32)
			if err != nil {
				return badArgument(o)
			}
			hits = n
		case "--set", "--rcheck", "--update", "--remove":
			do = o
		}
	}
	switch {
	case do.name == "--set":
		rr.match(ruleset.Const{Holds: !do.not})
	case hits > 1:
		rr.match(ruleset.Const{Holds: do.not, Note: "within its rate"})
	default:
		rr.match(maybeNot(ruleset.Atom{Key: "recent " + name, Why: "whether the source address is on the list " + name + " (recent)"}, do.not))
	}
	return nil
}

// circumstance reads conditions on what is no part of the packet, or on parts
// that an ordinary packet does not have.
func (rr *ruleReader) circumstance(g group) error {
	a := ruleset.Atom{Key: g.text(), Why: "the match " + g.text()}
	not := len(g.opts) > 0 && g.opts[0].not
	switch g.name {
	case "rpfilter":
		rr.match(ruleset.Const{Holds: !has(g, "--invert"), Note: "a legitimate stranger's source passes"})
		return nil
	case "owner", "cgroup":
		// An incoming packet has no socket yet: only negations hold.
		rr.match(ruleset.Const{Holds: not, Varies: "the process that sends (" + g.text() + ")", Sender: true})
		return nil
	case "time":
		a.Why = "the time of day or the date"
	case "statistic":
		a.Key, a.Why = "", "chance (-m statistic)"
	case "policy":
		return rr.policy(g)
	case "helper", "ah", "esp", "frag", "rt", "hbh", "dst", "ipv6header", "mh", "ipcomp":
		a.Lean = ruleset.UsuallyFalse
	case "connlabel":
		a.Unknown = true
	}
	if not {
		g.opts[0].not = false
		if a.Key != "" {
			a.Key = g.text()
		}
		a.Lean = ruleset.UsuallyFalse
	}
	rr.match(maybeNot(a, not))
	return nil
}

func has(g group, name string) bool {
	for _, o := range g.opts {
		if o.name == name {
			return true
		}
	}
	return false
}

// policy reads -m policy: whether the packet came through IPsec.
func (rr *ruleReader) policy(g group) error {
	a := ruleset.Atom{Key: "policy ipsec", Why: "whether the packet came through IPsec", Lean: ruleset.UsuallyFalse}
	none, plain := false, true
	for _, o := range g.opts {
		switch o.name {
		case "--pol":
			none = o.arg() == "none"
		case "--dir":
			if o.arg() == "out" {
				a.Key = "policy ipsec out"
			}
		default:
			plain = false
		}
	}
	if !plain {
		a.Key = g.text()
	}
	rr.match(maybeNot(a, none))
	return nil
}
