// Package drift compares what was open at two moments and says what changed,
// in the kinds of the command contract. It is pure: no clock, no files.
package drift
