// Package rpmdb reads rpm's package database in its sqlite form
// (rpmdb.sqlite, rpm 4.16 and later): which package owns a file.
//
// It reads two of the database's tables: Basenames, from a file's last name to
// the packages that have such a file, and Packages, the headers. Only what
// these need of sqlite's file format is understood: table b-trees of
// rows with overflow pages (https://sqlite.org/fileformat2.html). A database
// with changes that wait in its write-ahead log is refused, since they might
// be the answer.
//
// The file is hostile input: every offset is checked, depth and sizes are
// bounded, and nothing of it is run.
package rpmdb
