package history

import "time"

// Retention bounds what is kept. What a person saved (baselines) is never
// pruned.
type Retention struct {
	// Minutes of usage become hours after this long, hours days, and days are
	// forgotten.
	Minutes, Hours, Days time.Duration
	// Clients are kept one by one for an endpoint and span of time; those
	// beyond, the ones that did least, are counted together.
	Clients int
	// Events, ended lives and resolved findings are forgotten after Past, and
	// at latest when there are more than Rows of a kind.
	Past time.Duration
	Rows int
	// Snapshots that nobody saved by hand: the newest of them are kept.
	Snapshots int
}

// DefaultRetention: a day of minutes, a month of hours, some more than a year
// of the rest.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Minutes: day, Hours: 31 * day, Days: 400 * day, Clients: 64, Past: 400 * day, Rows: 200_000, Snapshots: 500}
}

func (r Retention) withDefaults() Retention {
	d := DefaultRetention()
	orDefault(&r.Minutes, d.Minutes)
	orDefault(&r.Hours, d.Hours)
	orDefault(&r.Days, d.Days)
	orDefault(&r.Clients, d.Clients)
	orDefault(&r.Past, d.Past)
	orDefault(&r.Rows, d.Rows)
	orDefault(&r.Snapshots, d.Snapshots)
	return r
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
