// Package learn makes rules of flows and of denials: the fewest and narrowest
// permits that let pass what was needed, each with its evidence, and what the
// evidence cannot know. It does no I/O.
package learn
