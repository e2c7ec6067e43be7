// Package rounds asks many targets for a sign of life: it decides whom to ask
// next, how fast, how long to wait and when to give up. What a probe is and
// how an answer is heard is the Line's business (ARP, ICMP, TCP, connect).
//
// Terms. A try sends every kind of probe once, in order, to every target that
// is still silent. The gap is how long a target is given before its next
// probe; it shrinks to a multiple of the slowest answer once answers have been
// heard. The last wait is for answers to the last probe; it never shrinks, for
// a near host's quick answer says nothing of a far one. A canary is a target
// that has answered and is asked again: its answer is expected, so a missing
// one is loss.
//
// How often. With Tries 0, up to 4,096 silent targets are asked a second
// time. Of more, a sample is, together with canaries; all of them are when
// the sample finds somebody new or a canary is lost. A range of which nearly
// everything is empty is then asked once and a bit.
//
// Figures. A target costs about 20 bytes. The rate is kept over any stretch of
// about ten milliseconds; probes that could not be sent in time are not made
// up for in one burst.
//
// Locking: none. A Run belongs to the goroutine that calls Run; the Line
// calls Answer from within Hear or Send. It has no clock of its own beyond
// Plan.Now and never looks at an address.
package rounds
