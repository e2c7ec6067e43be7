package logview

import (
	"net/netip"
	"time"
)

// Views are the views a View keeps.
type Views uint8

// The views. What was let in (Result.Inward) belongs to ByPort.
const (
	ByPort Views = 1 << iota
	ByPair
	BySource
	ByRule
	ByTime

	AllViews = ByPort | ByPair | BySource | ByRule | ByTime
)

// Options are equal for all Views that are to be merged.
type Options struct {
	// Views are what is to be kept; 0: all.
	Views Views
	// Own are networks of one's own, beside the private ones.
	Own []netip.Prefix
	// Outside are interfaces or zones, in any case, whose other side is
	// outside; beside those that are so called everywhere (wan, untrust …).
	Outside []string
	// Width is that of the time buckets; 0: a round one that gives at most
	// 120. A width that gives more than Limits.Buckets is doubled until it
	// does not.
	Width time.Duration
	// Seed makes the hashes unpredictable for who writes the log.
	Seed uint64
	// Limits bound the memory; zero fields have their defaults.
	Limits Limits
}

// Limits bound what a View keeps, in numbers of rows and of distinct things.
type Limits struct {
	Sources, Pairs, Ports, Rules int // rows
	Distinct                     int // distinct things remembered per view
	PortLists                    int // bytes of port lists per view
	Buckets                      int // time buckets
}

// The defaults: every port of TCP and UDP has a row; an address list of a /16
// fits.
const (
	defaultSources   = 1 << 16
	defaultPairs     = 1 << 15
	defaultPorts     = 1<<17 + 1<<10
	defaultRules     = 1 << 12
	defaultDistinct  = 1 << 18
	defaultPortLists = 6 << 20
	defaultBuckets   = 1 << 12
)

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		at    *int
		value int
	}{
		{&l.Sources, defaultSources}, {&l.Pairs, defaultPairs},
		{&l.Ports, defaultPorts}, {&l.Rules, defaultRules},
		{&l.Distinct, defaultDistinct}, {&l.PortLists, defaultPortLists},
		{&l.Buckets, defaultBuckets},
	} {
		if *f.at <= 0 {
			*f.at = f.value
		}
	}
	return l
}
