package remedy

import (
	"context"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Backend loads and reads our rules with one tool. What it writes as saved is
// its own format, kept in the journal.
type Backend interface {
	// Accept reads a text as far as it must to know that it touches nothing
	// but ours, and gives what Put takes. Its errors name line and column.
	Accept(text []byte) (saved []byte, err error)
	// Read lists what of ours is loaded.
	Read(ctx context.Context, run Runner) (*Present, error)
	// Put makes saved what is loaded of ours, in one transaction; empty saved
	// takes ours away. With check set the kernel is asked and nothing
	// changes.
	Put(ctx context.Context, run Runner, saved []byte, check bool) error
}

// Present is what of ours is loaded.
type Present struct {
	// Saved is what Put takes to make it so again; empty when nothing is
	// loaded.
	Saved []byte
	// Text is for people, and Normal is what is compared: without counters
	// and what time or packets change.
	Text   []byte
	Normal []byte
	// Chains are the rules as the model has them.
	Chains []*ruleset.Chain
	// Doubt says why Chains do not tell all; empty when they do.
	Doubt string
}

// Backends lists the names of the backends: nft; iptables and ip6tables as
// the system has them, and by variant.
func Backends() []string {
	return []string{"nft", "iptables", "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"}
}

// backendNamed gives a backend; proc is where proc(5) is mounted.
func backendNamed(name, proc string) (Backend, error) {
	switch {
	case name == "nft":
		return nft{}, nil
	case slices.Contains(Backends(), name):
		return newIptables(name, proc), nil
	}
	return nil, fail(Invalid, "there is no backend "+name, nil)
}
