// Package event tells of listeners as they open and close, by the kernel's own
// events where it has them, else by what it announces and by listing often.
package event
