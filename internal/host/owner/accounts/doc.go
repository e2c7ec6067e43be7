// Package accounts reads passwd(5) and group(5) files: the names of users and
// groups of one root, without the C library and so without directory
// services. A name that these files do not hold is not known here.
//
// The tables are immutable once made.
package accounts
