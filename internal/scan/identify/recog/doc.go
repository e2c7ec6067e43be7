// Package recog reads a folder of recog's fingerprint files (XML; Rapid7's
// project rapid7/recog, BSD-2-Clause) that the user has installed, and says by
// them what a banner, a header or another field of an answer tells. Nothing of
// recog is shipped.
//
// Terms. A file holds the fingerprints of one kind of field, named by its
// matches attribute (ssh.banner, http_header.server), here the key; a file
// without that attribute is named like itself. The first fingerprint whose
// pattern matches the field wins; its params are fixed texts, captured groups,
// or texts with {other.param} in them. A param that begins with _tmp. is for
// such use only. Patterns are Ruby's: ^ and $ match at every line, \h is a
// hexadecimal digit, and a flag named REG_MULTILINE lets a dot match a newline.
//
// Signature finds the fields in an answer by keys.txt.
//
// Fields are hostile input: of each, maxField bytes are looked at for at most
// maxTime. Results are valid UTF-8, bounded, and must be escaped by whoever
// shows them.
//
// Locking: a DB does not change once loaded; its methods may be called from
// several goroutines. It reads only the folder it is given and never touches
// the network.
package recog
