package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// si writes a number with three digits and an SI prefix (k is 1,000): at most
// five columns up to 999 E.
func si(v float64) string {
	if math.IsNaN(v) || v < 0.5 {
		return "0"
	}
	prefixes := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for v >= 999.5 && i < len(prefixes)-1 {
		v /= 1000
		i++
	}
	switch {
	case i == 0 || v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + prefixes[i]
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + prefixes[i]
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + prefixes[i]
}

// spaced writes a number with its SI prefix at the unit: 12.3 Mbit/s.
func spaced(v float64, unit string) string {
	s := si(v)
	if last := s[len(s)-1]; last > '9' {
		return s[:len(s)-1] + " " + string(last) + unit
	}
	return s + " " + unit
}

// bits is a rate of bytes a second as bits a second.
func bits(bytes float64) string { return spaced(8*bytes, "bit/s") }

// count writes numbers below a million whole, others with an SI prefix: at
// most seven columns.
func count(n uint64) string {
	if n < 1_000_000 {
		return thousands(n)
	}
	return si(float64(n))
}

// thousands writes a whole number with its thousands apart.
func thousands(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// several counts things.
func several(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// percent writes a share so that a small one does not look like none, as
// flow.Judge does.
func percent(part, whole uint64) string {
	p := 100 * float64(part) / float64(max(whole, 1))
	switch {
	case part > 0 && p < 0.1:
		return "under 0.1 %"
	case part < whole && p > 99.9:
		return "over 99.9 %"
	}
	return fmt.Sprintf("%.3g %%", p)
}

// ago says how long something is past, in at most four columns.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "now"
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", min(d/(24*time.Hour), 999))
}

// clockwise writes a time that went by: 0:12:34, or 2 d 3:04:05.
func clockwise(d time.Duration) string {
	s := max(int64(d/time.Second), 0)
	text := fmt.Sprintf("%d:%02d:%02d", s/3600%24, s/60%60, s%60)
	if days := s / 86400; days > 0 {
		return fmt.Sprintf("%d d %s", days, text)
	}
	return text
}
