// Package problem is what readers of rule sets say of the parts of their
// input that they did not understand.
//
// Every reader has the same shape:
//
//	func Read(r io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error)
//
// The error is for input that is not in the reader's format at all, or could
// not be read to its end. A part that is not understood is a Problem, and
// stands in the rule set as something that may do anything (an Atom that is
// Unknown, an Elsewhere), so that it can make a verdict unknown but never
// wrong. Rules carry the line that they stand in.
package problem
