// Package rulefile is the rule file that people read and edit: what rules
// learn writes, and check, render and apply read. It is a list of permits (and
// denials) of new connections; what is answered to a permitted connection is
// permitted with it, and what no rule permits is denied.
//
// The form is YAML, read strictly: an unknown key or a wrong value is an error
// with its line and column. Every rule may carry its evidence; evidence and
// comments change nothing of what a rule does.
package rulefile
