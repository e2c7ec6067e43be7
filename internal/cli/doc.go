// Package cli is the command line: one file per command, each the same shape
// (flags, gather, judge, print). Flags, environment variables and exit codes
// live only here. Commands return values and errors; Main alone prints an
// error and chooses the exit code.
package cli
