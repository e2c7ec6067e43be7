// Package identify recognises what speaks at a TCP endpoint: its protocol, and
// where the protocol tells them, product, version, whether a password is asked
// for, and what a TLS certificate says.
//
// Terms. A greeting is what a server says first. A probe is a well-formed
// first message sent to a server that waits for one. A question is a further
// message to a server already recognised. An upgrade is STARTTLS or its like.
// Names are registry names (ssh, http); TLS is a property beside the name.
//
// What is sent and how answers are recognised is data: probes/*.txt, one file
// for each kind of service, numbered in the order of asking, in the line forms
// described at table.read. A
// pattern works on bytes; what it cannot read (numbers packed in bytes, BER,
// lists) a decoder does, which a match names (decode*.go). docs/recognition.md
// lists every byte; a test compares it with the tables.
//
// How an endpoint is asked (talk.go). First the greeting is awaited, briefly
// where the port's protocol lets the client speak first. A silent server is
// asked the probe that its port suggests, then those for every port in order
// of likelihood, a few connections at once; the first answer that is
// recognised ends the rest. Raw printing ports (9100 and its kind) are never
// sent anything, because they would print it. Then come the questions of the
// table, and the upgrade. Endpoints wait their turn so that no host has more
// connections than Limits.PerHost; this machine's own addresses are exempt
// (queue.go).
//
// Answers are hostile input: every exchange has an absolute deadline and a
// bound in bytes, an endpoint a bound in time, patterns run in linear time
// (package regexp), decoders read within bounds, nothing is decompressed, and
// what is kept is bounded. Banners are kept as they came, made valid UTF-8:
// whoever shows them must escape them.
//
// Locking: none for the caller; Greet may be called from several goroutines.
// It never sends a credential and never writes, and where a server can say
// that it would have asked for a password, that is all it is asked.
package identify
