package pf

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// drivers are names that interfaces share with a number behind; each is a
// group of its own (ifconfig(8)).
var drivers = " lo em igb igc ix ixl ice bge bce re rl rge vio vtnet vmx hn xn axe cue ure msk nfe sis vr dc fxp xl mcx mlx mce cxl oce " +
	"vlan svlan tun tap wg bridge veb vether vport pair epair carp pppoe ppp gif gre egre etherip vxlan enc pflog pfsync trunk aggr lagg " +
	"tpmr iwm iwx iwn ath bwfm urtwn en utun awdl stf ng ovpn ipsec sl disc faith "

// interfaceExpr is the condition that a packet's interface is one of a list.
// A name without a number is a group: its driver's interfaces, or those that
// an administrator put into it, which a file does not tell.
func interfaceExpr(f ruleset.Field, list []ifspec) ruleset.Expr {
	var any ruleset.Any
	for _, spec := range list {
		e := oneInterfaceExpr(f, spec.name)
		if spec.not {
			e = negate(f, e)
		}
		any = append(any, e)
	}
	if e := joinAny(any); e != nil {
		return e
	}
	return ruleset.Const{Holds: true}
}

func oneInterfaceExpr(f ruleset.Field, name string) ruleset.Expr {
	if name == "any" || name == "all" {
		return ruleset.Const{Holds: true}
	}
	if last := name[len(name)-1]; last >= '0' && last <= '9' {
		return ruleset.In{Field: f, Set: ruleset.NamePattern(name, false)}
	}
	if name == "lo" {
		return ruleset.In{Field: f, Set: ruleset.Loopbacks()}
	}
	in := ruleset.In{Field: f, Set: ruleset.NamePattern(name, true)}
	if strings.Contains(drivers, " "+name+" ") {
		return in
	}
	return ruleset.Any{in, ruleset.Atom{Key: f.String() + " group " + name, Why: "whether the interface is of the group " + name, Unknown: true}}
}

// negate is the complement among the packets that have the field.
func negate(f ruleset.Field, e ruleset.Expr) ruleset.Expr {
	if in, ok := e.(ruleset.In); ok {
		in.Set = f.Except(in.Set)
		return in
	}
	return ruleset.Not{Expr: e}
}
