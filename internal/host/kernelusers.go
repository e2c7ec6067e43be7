package host

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

//go:embed kernelsymbols.txt
var symbolsText string

var symbols = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(symbolsText) {
		if f := strings.Fields(line); len(f) == 2 && f[0] != "#" {
			out[f[0]] = f[1]
		}
	}
	return out
})

// kernelUser names the kernel's user of a socket by the function through
// which it receives, given as "symbol" or "symbol [module]".
func kernelUser(callback string) *exposure.KernelUser {
	symbol, module, _ := strings.Cut(callback, " ")
	user := symbols()[symbol]
	if user == "" {
		if user = strings.Trim(module, "[]"); user == "" {
			user = "kernel"
		}
	}
	return &exposure.KernelUser{User: user, Detail: callback, Source: "BPF socket iterator (sk_kern_sock)"}
}

// kernelPort is a port that a part of the kernel says it listens on.
type kernelPort struct {
	ns    uint64 // namespace's inode; 0 where the source does not tell
	proto exposure.Proto
	port  uint16
	user  exposure.KernelUser
}

// explain gives each socket without a process the kernel user that claims its
// port. A claim without a namespace, or one whose socket may live in another
// (WireGuard's stays where its device was made), is used last.
func explain(sockets []*candidate, claims []kernelPort) {
	for _, c := range sockets {
		match := func(exact bool) bool {
			i := slices.IndexFunc(claims, func(k kernelPort) bool {
				return k.proto == c.Proto && k.port == c.Port && (k.ns == c.ns.inode || !exact && k.ns == 0)
			})
			if i < 0 {
				return false
			}
			user := claims[i].user
			c.Kernel = &user
			return true
		}
		_ = match(true) || match(false)
	}
}
