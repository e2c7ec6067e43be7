// Package flow joins packets to flows and tells who is client and who server.
package flow
