// Package span prints the commands that make a switch copy traffic to a port
// (SPAN, port monitor, port mirroring): how to set it up, how to check it, how
// to undo it, and what the copy will not show.
//
// Terms. Sources are what is watched, the destination is the port where the
// copies come out, rx and tx are the switch's view of a source port: rx is what
// the switch receives there. A session is the number, or the name made of it,
// under which a switch keeps a mirror.
//
// Each vendor is one file in vendors: titles, the documentation that its
// commands were taken from, the shape of its port names, and text templates.
// Adding a vendor is adding a file; `go test` says what is wrong with it, and
// with -update writes its golden file.
//
// Names are put into commands that people paste into a shell or a switch. So
// a name must match the vendor's pattern as a whole, and no pattern may admit
// anything that a shell or a switch takes for more than a name.
//
// It sends nothing anywhere and keeps no state.
package span
