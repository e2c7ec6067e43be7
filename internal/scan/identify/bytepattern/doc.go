// Package bytepattern runs the regular expressions of other people's signature
// files over what a server answered: patterns written for PCRE or for Ruby,
// answers that are bytes and hostile.
//
// Terms. A Pattern is one expression in its Dialect; it is compiled on its
// first use, because a signature file holds thousands of which an answer ever
// meets a few dozen. A Text is one answer, prepared once for all patterns that
// are tried on it. A Budget is the time that all patterns together may spend on
// one answer. What a pattern needs (its literal prefix and its longest literal)
// is read off its text when it is made, so that most patterns are refused by
// comparing bytes, without being compiled at all.
//
// Bytes. Every byte of an answer becomes the rune of the same number (Latin-1),
// so that the engines, which think in runes, count and match bytes. Classes are
// computed over the 256 bytes here, and case is folded for ASCII letters only,
// as PCRE does without UTF mode.
//
// Engines. Patterns are translated into a small common syntax that both
// engines read alike, tried first with the standard regexp package, whose time
// is linear in the answer, and only where they look around or back with
// github.com/dlclark/regexp2, which backtracks and is therefore stopped after
// matchTimeout. The clock of regexp2 is one of the whole process: the first
// backtracking pattern sets its period, and its goroutine ends by itself about
// a second after the last such match.
//
// What neither engine can run (recursion, callouts, \K, branch reset,
// conditions) is an error of that pattern, for its owner to count and name.
//
// Locking: a Pattern may be used by several goroutines; a Text and a Budget
// belong to one. Nothing here reads files or networks.
package bytepattern
