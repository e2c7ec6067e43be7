// Package source reads a rule set out of a file or a stream, whatever its
// format: it looks at the content, never at the name's ending alone, and gives
// a ruleset.RuleSet that is prepared for questions, with what was not
// understood as problems.
//
// formats.go is the table of formats. A format says by its first look whether
// a text could be its own; the reader then has the last word: one that finds
// nothing of its kind passes the text on to the next.
package source
