// Package pkgdb tells which software package owns a file, by reading the
// package databases of a root: dpkg, apk, pacman and rpm, and the folder
// names of systems that need no database (snap, flatpak, Nix, Guix,
// Homebrew).
//
// One call answers for many files, since each means reading the whole
// database once. Paths are those of the files themselves, no symbolic link
// left in them, as the kernel names executables; a database that lists them
// by another name of the same folder ("/bin" for "/usr/bin") is understood.
//
// An Answer without a package says why: that a database was asked and does not
// list the file, that there is none, or that it could not be read. Only the
// first means that the file came from elsewhere.
//
// Databases of containers are hostile input: everything is bounded, nothing is
// run with them, and no file outside of the root is read.
package pkgdb
