// Package history keeps what was seen: snapshots, the lives of listeners, who
// used which port, findings opened and resolved, in one SQLite file.
package history
