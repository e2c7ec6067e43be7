// Package units reads systemd's unit files to tell which socket unit listens
// on an endpoint and which service it starts (systemd.socket(5)). It reads
// files only: no process is started and no bus is asked, so it also answers
// for a root that is not running.
//
// Terms. The load path is the list of folders in which a unit is looked for,
// the first that has it winning; drop-ins ("NAME.d/*.conf") of all folders add
// to it. A unit is enabled when another unit's ".wants" or ".requires" folder
// links to it, or when a generator wrote it. Whether an enabled unit runs now
// is not in the files: who holds the socket tells that.
//
// Files are bounded in size, number and lines; what is not understood (a
// specifier that needs the manager) leaves that one line out.
//
// A Sockets is immutable once read.
package units
