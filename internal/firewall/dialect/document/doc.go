// Package document reads JSON and YAML into one tree whose values know the
// line and column where they stand, for readers of rule sets that other
// people's tools wrote: keys may be missing, unknown or of another type than
// expected, and the reader must still be able to say where.
//
// A Node never makes its user check for nil: what is missing is a nil *Node,
// and every method of it answers with nothing. Text comes as UTF-8; files in
// UTF-16 with a byte order mark, as PowerShell writes them, are converted.
//
// Input is untrusted. Its length, the depth of nesting, and, of YAML, the
// number of structural characters in a line and the times that aliases repeat
// a part are bounded; what goes beyond is an error with
// its place.
package document
