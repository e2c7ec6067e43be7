// Portreeve says what is open on a machine and a network, who opened it, who
// can reach it, who really uses it, whether it should be open, and how to
// close it safely. This file only hands arguments in and the exit code out;
// see internal/cli.
package main

import (
	"os"

	"github.com/portreeve/portreeve/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
