// Package pace says how many probes may be sent now.
//
// Terms. In flight are the probes that are neither answered nor given up. The
// window is how many may be in flight. A sample is a probe of which it is known
// that it should be answered (a canary, or one whose later try was answered):
// it was answered or it was lost. The level of a sample is the size of the
// window, as a power of two, when it was sent.
//
// How it is made. A Control has one of two manners. With a fixed Rate it is a
// token bucket and nothing else. Else it finds the path's capacity: the window
// doubles with every window of answers, as TCP's does in slow start (RFC 5681),
// until samples are lost that would not be lost more slowly. That comparison is
// the point: a path may lose one packet in five whatever the rate, and slowing
// down for that gains nothing. So loss counts as congestion only where it
// exceeds the loss at lower levels; loss at the lowest level never does. After
// a cut the window grows by a tenth per window of answers.
//
// A path of which no answer is known gets Floor probes a second, for lack of
// any evidence. MaxRate and HalfOpen bound all of it.
//
// Locking: none; a Control belongs to one goroutine. It reads no clock: times
// are given.
package pace
