package target

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Resolver looks names up; *net.Resolver is one. network is "ip", "ip4" or
// "ip6". It may be called from several goroutines.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Family chooses among the addresses of a name. It says nothing about
// addresses that were typed as such.
type Family uint8

// Families. PreferIPv4 takes IPv6 only where there is no IPv4.
const (
	PreferIPv4 Family = iota
	OnlyIPv4
	OnlyIPv6
	BothFamilies
)

// network is what the resolver is asked for.
func (f Family) network() string {
	switch f {
	case OnlyIPv4:
		return "ip4"
	case OnlyIPv6:
		return "ip6"
	}
	return "ip"
}

// Errors of a name.
var (
	ErrNoResolver = errors.New("names are not looked up here")
	ErrNoAddress  = errors.New("the name has no address of the wanted family")
)

// wanted is a name to look up, with where it was written.
type wanted struct {
	spec
	text string // the spec as typed
	file string
	line int
}

// answer is what a lookup gave.
type answer struct {
	addrs []netip.Addr
	err   error
}

// lookUp looks names up, several at a time; answers are in the names' order.
func lookUp(ctx context.Context, r Resolver, network string, names []wanted) []answer {
	out := make([]answer, len(names))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(lookups, len(names)) {
		wg.Go(func() {
			for i := range next {
				out[i] = lookUpOne(ctx, r, network, names[i].name)
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

func lookUpOne(ctx context.Context, r Resolver, network, name string) answer {
	if r == nil {
		return answer{err: ErrNoResolver}
	}
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	found, err := r.LookupNetIP(ctx, network, name)
	if err != nil {
		return answer{err: err}
	}
	var a answer
	seen := map[netip.Addr]bool{}
	for _, ip := range found {
		if ip = ip.Unmap(); ip.IsValid() && !seen[ip] {
			seen[ip], a.addrs = true, append(a.addrs, ip)
		}
	}
	if len(a.addrs) == 0 {
		a.err = ErrNoAddress
	}
	return a
}

// choose splits the addresses of a name into those to scan and the others.
func (f Family) choose(addrs []netip.Addr, all bool) (take, rest []netip.Addr) {
	var have [2]bool
	for _, a := range addrs {
		v6 := 0
		if a.Is6() {
			v6 = 1
		}
		if f.wants(a, addrs) && (all || !have[v6]) {
			have[v6], take = true, append(take, a)
			continue
		}
		rest = append(rest, a)
	}
	return take, rest
}

// wants reports whether an address has the family to be scanned.
func (f Family) wants(a netip.Addr, addrs []netip.Addr) bool {
	switch f {
	case OnlyIPv4:
		return a.Is4()
	case OnlyIPv6:
		return a.Is6()
	case BothFamilies:
		return true
	}
	for _, other := range addrs {
		if other.Is4() {
			return a.Is4()
		}
	}
	return true
}

// otherAddresses is the note about addresses that are not scanned.
func otherAddresses(name string, taken, rest []netip.Addr) string {
	return fmt.Sprintf("%s: scanning %s, not its other addresses %s", short(name), joined(taken), joined(rest))
}

// joined lists the first few addresses.
func joined(addrs []netip.Addr) string {
	const most = 4
	var list []string
	for _, a := range addrs[:min(most, len(addrs))] {
		list = append(list, a.String())
	}
	text := strings.Join(list, ", ")
	if n := len(addrs) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func notScanned(format string, args ...any) exposure.Gap {
	return exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)}
}
