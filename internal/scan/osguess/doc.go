// Package osguess guesses which operating system a host runs.
//
// Terms. A print is what the headers of a host's first answers show (package
// synack). A signature is one line of stack.txt: what a range of versions of a
// family answers, each feature with a weight. Families that answer alike are
// kin and share a guess under a broader name where a print does not tell them
// apart. A claim is what a service says of its host; banners.txt reads it. A
// database is somebody else's table, read where the user has it installed
// (packages p0f and nmapos).
//
// A score is the weights earned of the weights of all that was seen: the whole
// for the usual value, four fifths for an unusual one, half where the
// signature does not say, nothing where it says otherwise. Below a threshold
// there is no guess. Versions of one family that score alike become one range;
// families that score alike and are no kin cost each other accuracy. Accuracy
// is a rank, not a probability.
//
// Headers belong to the nearest stack that answers: a load balancer, a NAT or
// a container's host. Banners belong to the program. Where the two agree both
// are more certain; where they disagree both stay, and nothing is averaged.
//
// The tables are read once and not changed. Locking: none; Guess opens its
// sockets in the goroutine that called it (see synack), and several Guesses
// may run at once.
//
// It never sends malformed or unusual packets, which costs it the precision of
// tools that do, and it never names a release that the evidence does not tell.
package osguess
