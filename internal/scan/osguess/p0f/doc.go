// Package p0f reads an installed p0f 3 database (p0f.fp) and judges a SYN-ACK
// by its [tcp:response] section.
//
// Terms. A label names a system (type:class:name:flavour); type s is a
// specific one, g a generic one. A signature is
// ver:ittl:olen:mss:wsize,scale:olayout:quirks:pclass, as p0f's README
// section 5 defines it. A quirk is an oddity of the headers.
//
// The rules are those of that README: a specific signature that fits wins over
// a generic one, that over one that fits but for the permitted fuzziness
// (quirks df and id+ may be gone, id- and ecn may be there, the TTL may be
// another). The quirk ecn is always forgiven, because the SYN asked for it.
// Windows in segments are also tried less the timestamps option. Other
// sections are skipped, as are labels of programs (class "!").
//
// The database is LGPL data of its author; it is read where it is installed
// and no part of it is here. A Table is not changed once read. It opens
// nothing by itself: the caller hands it a reader.
package p0f
