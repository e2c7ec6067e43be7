package drift

// Compare says what changed from before to after. Nil slices are empty; the
// snapshots are only read, and rows of the result point into them.
func Compare(before, after *Snapshot) Result {
	c := comparison{before: before, after: after, unequal: unequal(before, after)}
	if !c.comparable() {
		return c.result
	}
	c.names()
	old, now := c.rows(wasOpen), c.rows(isOpen)
	c.result.Before, c.result.After = len(old), len(now)
	c.match(old, now)
	c.tell()
	return c.result
}
