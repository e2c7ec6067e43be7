package ruleset

import "net/netip"

// Targets are the addresses that rewrites of the rule set lead to, at most
// so many of them; of a range the first few.
func (s *RuleSet) Targets(most int) []netip.Addr {
	seen := map[netip.Addr]bool{}
	var out []netip.Addr
	add := func(t Target) {
		for _, ip := range t.first(16) {
			if !seen[ip] && len(out) < most {
				seen[ip] = true
				out = append(out, ip)
			}
		}
	}
	for _, ch := range s.Chains {
		for _, r := range ch.Rules {
			for _, step := range r.Steps {
				t, ok := step.(Translate)
				if !ok {
					continue
				}
				for _, to := range t.To {
					add(to)
				}
				for _, row := range t.Rows {
					add(row.Target)
				}
			}
		}
	}
	return out
}

// first gives the first addresses of a target.
func (t Target) first(most int) (out []netip.Addr) {
	for _, iv := range t.Addrs {
		for v := iv.Lo; len(out) < most; v = v.next() {
			out = append(out, v.Addr())
			if v == iv.Hi {
				break
			}
		}
	}
	return out
}
