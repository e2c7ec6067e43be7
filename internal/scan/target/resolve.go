package target

import (
	"context"
	"errors"
	"net/netip"
)

// resolve looks the names up and takes their addresses.
func (c *collector) resolve(ctx context.Context, r Resolver) error {
	network := c.req.Family.network()
	if c.exclusion {
		network = "ip"
	}
	answers := lookUp(ctx, r, network, c.names)
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, w := range c.names {
		err := c.take(w, answers[i])
		var bad *Error
		switch {
		case err == nil:
		case errors.As(err, &bad) && !c.exclusion:
			c.miss(bad)
		default:
			return err
		}
	}
	return nil
}

// miss records a name that gives no target.
func (c *collector) miss(e *Error) {
	if c.unresolved == nil {
		c.unresolved = e
	}
	c.gaps = append(c.gaps, notScanned("not scanned: %v", e))
}

// take takes the addresses of one name.
func (c *collector) take(w wanted, a answer) error {
	if a.err != nil {
		e := wrong("check the name, or write its address", "it does not resolve: %v", a.err)
		e.Err = a.err
		return e.place(c.kind, w.text, w.file, w.line)
	}
	usable, why := c.usable(w, a.addrs)
	if len(usable) == 0 || c.exclusion && len(usable) < len(a.addrs) {
		return why.place(c.kind, w.text, w.file, w.line)
	}
	if c.exclusion {
		return c.takeAll(w, usable)
	}
	taken, rest := c.req.Family.choose(usable, c.req.AllAddresses)
	if len(taken) == 0 {
		e := wrong("ask for the other family, or write its address", "it has no address of the wanted family")
		e.Err = ErrNoAddress
		return e.place(c.kind, w.text, w.file, w.line)
	}
	if len(rest) > 0 {
		c.notes = append(c.notes, otherAddresses(w.name, taken, rest))
	}
	c.call(w.name, taken)
	return c.takeAll(w, taken)
}

// usable leaves out the addresses that cannot be asked, and says why of the
// last.
func (c *collector) usable(w wanted, addrs []netip.Addr) ([]netip.Addr, *Error) {
	var out []netip.Addr
	why := wrong("write its address", "it has no address")
	for _, a := range addrs {
		if w.bits > a.BitLen() {
			why = wrong("write a shorter length", "%s has %d bits, the length says %d", a, a.BitLen(), w.bits)
			continue
		}
		if w.bits >= 0 {
			if _, err := c.admit(around(a, w.bits)); err != nil {
				why = wrong(err.Hint, "%s: %s", a, err.Why)
				continue
			}
		}
		r, err := c.admit(Single(a))
		if err != nil {
			why = wrong(err.Hint, "it resolves to %s: %s", a, err.Why)
			continue
		}
		out = append(out, r.First)
	}
	return out, why
}

// takeAll takes addresses, each with the prefix around it that was written.
func (c *collector) takeAll(w wanted, addrs []netip.Addr) error {
	for _, a := range addrs {
		r := Single(a)
		if w.bits >= 0 {
			r = around(a, w.bits)
		}
		if err := c.ranges.add(r); err != nil {
			return err
		}
	}
	return nil
}

// call remembers the name of addresses; the first name stays.
func (c *collector) call(name string, addrs []netip.Addr) {
	if c.named == nil {
		c.named = map[netip.Addr]string{}
	}
	for _, a := range addrs {
		if _, known := c.named[a]; !known {
			c.named[a] = name
		}
	}
}
