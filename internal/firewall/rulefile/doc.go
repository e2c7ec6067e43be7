// Package rulefile is the rule file that people read and edit: what rules
// learn writes, and check, render and apply read. It is a list of permits (and
// denials) of new connections; what is answered to a permitted connection is
// permitted with it, and what no rule permits is denied.
//
//	schema: portreeve.rules/1
//	rules:
//	  - name: web to database
//	    action: permit          # permit, deny, ask
//	    proto: tcp
//	    from: [192.0.2.10, 192.0.2.11]
//	    to: [198.51.100.20]     # addresses, prefixes, ranges a-b; absent: any
//	    ports: [1433]           # destination ports; absent: all
//
// The form is YAML, read strictly (Parse): an unknown key or a wrong value is
// an error with its line and column, the text that offends and what is
// allowed. So are anchors, tags, a second document and repeated keys: they
// make a file mean something else than a reader sees. Evidence and comments
// change nothing of what a rule does.
//
// Rules are taken in order and the first that fits decides. A rule of action
// ask is a proposal: it does nothing until a person writes permit or deny.
// A rule has one family: IPv4 and IPv6 addresses stand in rules of their own.
//
// Resolve gives the rules with their texts understood, for renderers; RuleSet
// gives the same rules in the model that answers questions; Write gives the
// one canonical text of a file, which Parse reads back to an equal File.
//
// The package does no I/O but on the reader and writer it is given, keeps no
// state and knows no clock.
package rulefile
