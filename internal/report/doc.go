// Package report renders results for people and for programs: aligned text
// that fits the terminal, and JSON. It decides nothing and reads nothing.
//
// Text that came from outside (process titles, banners, host names) passes
// through Escape before it is printed; JSON passes through a writer that
// escapes what a terminal might obey. Colour only repeats what words say.
package report
