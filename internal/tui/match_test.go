package tui

import (
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"pgregory.net/rapid"
)

// TestFilterAgainstNaive: what a filter takes is what looking for each word in
// each text, one after the other, takes.
func TestFilterAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"tcp", "TCP/443", "443", "10.0.", "10.0.0.7", "ff", "::", "https", "ngin", "ftp", "udp", "22", "0"}), 0, 3).Draw(t, "words")
		owner := func(id rowID) string { return map[uint16]string{1: "Nginx[812]"}[id.clientPort] }
		m := newMatcher(strings.Join(words, " "), someService, owner)
		for range rapid.IntRange(1, 20).Draw(t, "flows") { // with one matcher: it remembers
			f := anyFlow(t)
			f.Label = rapid.SampledFrom([]string{"", "FTP-data"}).Draw(t, "label")
			f.ClientPort = rapid.SampledFrom([]uint16{1, 443, 50000}).Draw(t, "from")
			want := true
			for _, w := range words {
				want = want && naiveMatch(strings.ToLower(w), &f, owner(flowID(&f)))
			}
			if got := m.takesFlow(&f); got != want {
				t.Fatalf("%q takes %v: %v, want %v", words, flowID(&f), got, want)
			}
		}
	})
}

func naiveMatch(word string, f *flow.Flow, owner string) bool {
	texts := []string{strings.ToLower(f.Label), strings.ToLower(owner), someService(f.Proto, f.ServerPort)}
	exact := []string{protoName(f.Proto), portText(portID(f))}
	if digits := strings.Trim(word, "0123456789") == ""; digits {
		texts = texts[:2] // a port, or in a name that the host or the flow has
		exact = nil
		if hasPorts(f.Proto) {
			for _, p := range []uint16{f.ServerPort, f.ClientPort} {
				exact = append(exact, strings.TrimPrefix(portText(rowID{proto: 6, port: p}), "tcp/"))
			}
		}
	} else {
		texts = append(texts, addrText(f.Client), addrText(f.Server))
	}
	for _, e := range exact {
		if e == word {
			return true
		}
	}
	for _, text := range texts {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
