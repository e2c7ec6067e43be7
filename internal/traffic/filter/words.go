package filter

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed words.txt
var wordsFile string

// words are the tables of words.txt.
type words struct {
	keys    map[string]string            // keyword → canonical
	numbers map[string]uint32            // named numbers
	tables  map[string]map[string]uint32 // names after one keyword
}

func loadWords() *words {
	w := &words{keys: map[string]string{}, numbers: map[string]uint32{}, tables: map[string]map[string]uint32{}}
	for line := range strings.Lines(wordsFile) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0][0] == '#' {
			continue
		}
		if f[0] == "key" {
			for _, alias := range f[1:] {
				w.keys[alias] = f[1]
			}
			continue
		}
		w.add(f[0], f[1], f[2])
	}
	return w
}

func (w *words) add(table, value, name string) {
	v, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		panic("filter: words.txt: " + err.Error())
	}
	if table == "num" {
		w.numbers[name] = uint32(v)
		return
	}
	if w.tables[table] == nil {
		w.tables[table] = map[string]uint32{}
	}
	w.tables[table][name] = uint32(v)
}

// find looks a name up in a table, in any case.
func (w *words) find(table, name string) (uint32, bool) {
	v, ok := w.tables[table][strings.ToLower(name)]
	return v, ok
}

// isProtocol reports the keywords that may stand before a direction, a type
// or [.
func isProtocol(word string) bool {
	switch word {
	case "link", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "igrp", "pim",
		"vrrp", "carp", "ah", "esp", "radio", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl",
		"iso", "esis", "isis", "clnp", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "stp", "ipx", "netbeui":
		return true
	}
	return false
}

// isForeign reports keywords of ATM and SS7 captures.
func isForeign(word string) bool {
	switch word {
	case "lane", "metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "sc", "ilmic", "vpi", "vci", "connectmsg",
		"metaconnect", "fisu", "lssu", "msu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls", "hsio",
		"hopc", "hdpc", "hsls":
		return true
	}
	return false
}
