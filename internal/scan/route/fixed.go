package route

import (
	_ "embed"
	"net/netip"
	"strings"
	"sync"
)

//go:embed fixed.txt
var fixedText string

// fixedPrefixes are those of fixed.txt.
var fixedPrefixes = sync.OnceValue(func() []netip.Prefix {
	var out []netip.Prefix
	for line := range strings.Lines(fixedText) {
		if p, err := netip.ParsePrefix(strings.TrimSpace(line)); err == nil {
			out = append(out, p)
		}
	}
	return out
})
