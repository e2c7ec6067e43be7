// Package mirror judges whether an interface is fed by a mirror port (SPAN,
// port monitor): a switch port that gets copies of other ports' frames.
//
// Terms. Own packets are sent by this host or meant for it, by MAC or by IP
// address. Group packets are broadcast and multicast: any port gets those.
// Foreign packets are unicast between others: a switch sends them to a port
// only when it mirrors, or when it floods because it does not know where the
// receiver is. Packets through this host are addressed to its MAC but not to
// its IP address: it routes them.
//
// How it is told. A switch floods one direction only: as soon as the receiver
// answers, its place is known, and the answer goes where the asker is known to
// be. So both directions of other people's conversations, and TCP handshakes
// seen whole, are a mirror (or a hub, which is as good). One direction only is
// a mirror of one direction when it is many conversations and all the time;
// little of it, or short bursts, is flooding. The two directions must follow
// each other within a second: a switch that forgets all stations from time to
// time floods now one and now the other direction of a long conversation. A
// conversation tells its directions when it was seen both ways, or is TCP
// beyond its first SYN: an unanswered question proves nothing.
//
// Duplicates are packets seen twice within two milliseconds, as a mirror of
// several ports makes them: the frame where it enters the switch and where it
// leaves. Copies whose TTL differs were taken before and after a router. An
// acknowledgement without a payload and without an IP identification is never
// called a duplicate; TCP repeats those.
//
// Locking: none; one goroutine adds and asks. Memory is bounded (a few MiB):
// beyond 16384 conversations and 4096 stations, new ones are only counted as
// packets.
//
// It is pure: it opens nothing and has no clock, times are the packets'.
package mirror
