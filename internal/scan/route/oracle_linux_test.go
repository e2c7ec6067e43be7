package route

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// route is what `ip route get` says, in words that Path can be put into.
type said struct{ kind, dev, via, src, mtu, failed string }

// ipRouteGet asks ip(8) for many destinations in one process. Failed commands
// are named by line on stderr.
func ipRouteGet(t *testing.T, ns *nettest.NS, dsts []netip.Addr, more func(netip.Addr) string) map[netip.Addr]said {
	t.Helper()
	var in strings.Builder
	for _, d := range dsts {
		fmt.Fprintf(&in, "route get %s %s\n", d.WithZone(""), more(d))
	}
	cmd := ns.Command("ip", "-o", "-force", "-batch", "-")
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in.String()), &out, &errs
	_ = cmd.Run() // fails where a command did
	got := map[netip.Addr]said{}
	for _, m := range regexp.MustCompile(`RTNETLINK answers: ([^\n]*)\nCommand failed -:(\d+)`).FindAllStringSubmatch(errs.String(), -1) {
		n, _ := strconv.Atoi(m[2])
		got[dsts[n-1]] = said{failed: m[1]}
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	next := 0
	for _, d := range dsts {
		if _, failed := got[d]; failed {
			continue
		}
		if next >= len(lines) {
			t.Fatalf("ip said too little:\n%s\n%s", out.String(), errs.String())
		}
		got[d] = parseRoute(lines[next])
		next++
	}
	return got
}

func parseRoute(line string) said {
	words := strings.Fields(line)
	s := said{kind: "unicast"}
	if _, err := netip.ParseAddr(words[0]); err != nil {
		s.kind = words[0]
	}
	for i, w := range words[:len(words)-1] {
		next := words[i+1]
		switch w {
		case "dev":
			s.dev = next
		case "src":
			s.src = next
		case "from":
			s.src = next
		case "mtu":
			s.mtu = next
		case "via":
			if next == "inet6" {
				next = words[i+2]
			}
			s.via = next
		}
	}
	return s
}

// inWords puts our answer into the oracle's.
func inWords(p Path, err error) said {
	for failed, of := range map[string]error{
		"Network is unreachable": ErrNoRoute, "No route to host": ErrUnreachable,
		"Permission denied": ErrProhibited, "Invalid argument": ErrBlackhole,
	} {
		if errors.Is(err, of) {
			return said{failed: failed}
		}
	}
	if err != nil {
		return said{failed: err.Error()}
	}
	s := said{kind: "unicast", dev: p.Iface}
	if p.Local {
		s.kind = "local"
	}
	if p.Gateway.IsValid() {
		s.via = p.Gateway.WithZone("").String()
	}
	if p.Src.IsValid() {
		s.src = p.Src.String()
	}
	return s
}
