// Package identify recognises, lightly, what speaks at a TCP endpoint: enough
// to see that a port's service is not the one its number suggests, and whether
// a datastore answers without a password.
//
// Terms. A greeting is what a server says first. A probe is a well-formed
// first message sent to a server that waits for one; probes.txt lists every
// byte of them, for which ports they come first, and the patterns by which
// greetings and answers are recognised. Names are registry names (ssh, http);
// TLS is a property beside the name.
//
// A server that greets is asked nothing more, but for VNC (which security
// types it offers) and for a 220 that may be SMTP or FTP. A silent one is
// asked the probe that its port suggests, then HTTP, TLS, and the datastores;
// raw printing ports (9100 and its kind) are never sent anything, because they
// would print it.
//
// Answers are hostile input: every exchange has an absolute deadline and a
// bound in bytes, patterns run in linear time (package regexp), and what is
// kept is bounded. Banners are kept as they came, made valid UTF-8: whoever
// shows them must escape them.
//
// Locking: none; Greet may be called from several goroutines. It never sends
// a credential and never writes, and where a server can say that it would have
// asked for a password, that is all it is asked.
package identify
