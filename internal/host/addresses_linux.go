package host

import (
	"cmp"
	"context"
	"slices"

	"github.com/portreeve/portreeve/internal/host/rtnl"
)

// Flags of linux/if.h and linux/if_addr.h.
const (
	flagUp        = 0x1
	flagLoopback  = 0x8
	flagDADFailed = 0x08
	flagTentative = 0x40
)

func addresses(ctx context.Context) ([]Address, error) {
	c, err := rtnl.Dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	links, err := c.Links()
	if err != nil {
		return nil, err
	}
	list, err := c.Addresses()
	if err != nil {
		return nil, err
	}
	byIndex := map[uint32]rtnl.Link{}
	for _, l := range links {
		byIndex[l.Index] = l
	}
	out := make([]Address, 0, len(list))
	for _, a := range list {
		out = append(out, ownAddress(a, byIndex[a.Index]))
	}
	slices.SortStableFunc(out, func(a, b Address) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), a.Addr.Compare(b.Addr))
	})
	return out, ctx.Err()
}

func ownAddress(a rtnl.Address, l rtnl.Link) Address {
	return Address{
		Addr: zoned(a.Addr, l.Name), PrefixLen: int(a.PrefixLen), Interface: l.Name, Index: int(a.Index),
		Up: l.Flags&flagUp != 0, Loopback: l.Flags&flagLoopback != 0,
		Tentative: a.Flags&(flagTentative|flagDADFailed) != 0,
	}
}
