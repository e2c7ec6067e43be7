// Portreeve says what is open on a machine and a network, who opened it, who
// can reach it, who really uses it, whether it should be open, and how to
// close it safely. This file only hands arguments in and the exit code out;
// see internal/cli.
package main

import (
	"os"
	"runtime/debug"

	"github.com/portreeve/portreeve/internal/cli"
)

func main() {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryGoal)
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// gcPercent lets the heap reach 16 MiB before the first collection: a listing
// of a small host then ends without one, which is a fifth of its time. Memory
// stays bounded, with live data counted fourfold.
const gcPercent = 400

// memoryGoal is from how many bytes on the heap is collected as often as need
// be: a goal, not a bound.
const memoryGoal = 128 << 20
