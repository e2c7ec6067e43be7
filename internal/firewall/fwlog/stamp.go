package fwlog

import (
	"bytes"
	"time"
)

// stamps remembers the last time that was read: lines of the same second
// begin alike. It only saves work.
type stamps struct {
	text [40]byte
	size int
	when int64
}

// stamp reads the time at the start of b: Unix nanoseconds and how many bytes
// it takes, 0 for none. when is 0 for a time without a year where
// Options.Now does not say when the log was read.
func (p *Parser) stamp(b []byte) (when int64, size int) {
	if p.size > 0 && len(b) > p.size && bytes.Equal(b[:p.size], p.text[:p.size]) && stampEnds(b, p.size) {
		return p.stamps.when, p.size
	}
	c := clock{rest: b}
	if !c.read() {
		return 0, 0
	}
	when, size = c.unix(p.opt), len(b)-len(c.rest)
	if size <= len(p.text) && stampEnds(b, size) && !weekday(b[:3]) {
		p.size, p.stamps.when = copy(p.text[:], b[:size]), when
	}
	return when, size
}

// stampLike tells, quickly, of most texts without a time at the start that
// there is none.
func stampLike(b []byte) bool {
	return len(b) >= 14 && (digit(b[0]) || letter(b[0]) && (b[3] == ' ' || b[3] == '/' || b[3] == ','))
}

// stampEnds tells whether a time that was read up to n cannot go on there:
// not with a fraction, a zone or a year.
func stampEnds(b []byte, n int) bool {
	if n >= len(b) {
		return false
	}
	switch c := b[n]; c {
	case ' ':
		return n+1 < len(b) && b[n+1] != '+' && b[n+1] != '-' && !digit(b[n+1])
	case ']', ',', '|', '\t', ':':
		return c != ',' || n+1 < len(b) && !digit(b[n+1])
	}
	return false
}

// clock is a civil time as it is read.
type clock struct {
	rest                          []byte
	year, month, day              int
	hour, minute, second, nanosec int
	offset                        int // seconds east of UTC
	zoned, noYear                 bool
	comma                         bool // the fraction stood behind a comma
}

// read takes a time in one of the forms that logs use:
//
//	2006-01-02T15:04:05.999999999Z07:00   RFC 3339, also with a blank or _ for
//	2006/01/02 15:04:05,999 +0200         T, slashes, a comma, no zone
//	Jan _2 15:04:05.999                   RFC 3164
//	Jan _2 2006 15:04:05                  Cisco
//	2006 Jan _2 15:04:05                  NX-OS
//	Mon Jan _2 15:04:05 2006              ctime
//	Mon 2006-01-02 15:04:05 CEST          journald
//	02/Jan/2006:15:04:05 -0700            Common Log Format
//	jan/02/2006 15:04:05                  RouterOS
func (c *clock) read() bool {
	b := c.rest
	if !stampLike(b) {
		return false
	}
	switch {
	case digit(b[0]):
		return c.numeric()
	case b[3] == ' ':
		if weekday(b[:3]) {
			return c.weekday()
		}
		return c.month3() && c.syslog()
	case b[3] == '/':
		return c.month3() && c.skip('/') && c.num(2, &c.day) && c.skip('/') && c.num(4, &c.year) && c.skip(' ') && c.hms()
	case b[3] == ',' && weekday(b[:3]): // RFC 2822
		c.rest = trimLeft(b[4:])
		return c.dayFirst(' ') && c.skip(' ') && c.hms() && c.zone()
	}
	return false
}

func (c *clock) numeric() bool {
	switch b := c.rest; {
	case b[2] == '/' && letter(b[3]):
		return c.dayFirst('/') && (c.skip(':') || c.skip(' ')) && c.hms() && c.zone()
	case b[4] == ' ':
		return c.num(4, &c.year) && c.skip(' ') && c.month3() && c.dayHMS() && c.zone()
	case b[4] == '-' || b[4] == '/':
		return c.iso(b[4])
	}
	return false
}

func (c *clock) iso(sep byte) bool {
	if !c.num(4, &c.year) || !c.skip(sep) || !c.num(2, &c.month) || !c.skip(sep) || !c.num(2, &c.day) {
		return false
	}
	return (c.skip('T') || c.skip(' ') || c.skip('_') || c.skip('t')) && c.hms() && c.zone()
}

// weekday is what follows the day of the week.
func (c *clock) weekday() bool {
	c.rest = c.rest[4:]
	if digit(c.rest[0]) {
		if !c.iso('-') {
			return false
		}
		c.abbreviation()
		return true
	}
	return c.month3() && c.syslog()
}

// abbreviation skips a zone's name. Only UTC says for certain what it is.
func (c *clock) abbreviation() {
	b, n := c.rest, 1
	for n < len(b) && b[n] >= 'A' && b[n] <= 'Z' {
		n++
	}
	if len(b) == 0 || b[0] != ' ' || n < 4 || n > 6 || n < len(b) && b[n] != ' ' {
		return
	}
	if string(b[1:n]) == "UTC" || string(b[1:n]) == "GMT" {
		c.zoned = true
	}
	c.rest = b[n:]
}

// zones are the names of RFC 5322 and Europe's, with seconds east of UTC.
var zones = [...]struct {
	name string
	east int64
}{
	{"utc", 0}, {"gmt", 0}, {"wet", 0}, {"est", -5 * 3600}, {"edt", -4 * 3600}, {"cst", -6 * 3600}, {"cdt", -5 * 3600},
	{"mst", -7 * 3600}, {"mdt", -6 * 3600}, {"pst", -8 * 3600}, {"pdt", -7 * 3600},
	{"west", 3600}, {"cet", 3600}, {"mez", 3600}, {"cest", 2 * 3600}, {"mesz", 2 * 3600}, {"eet", 2 * 3600}, {"eest", 3 * 3600},
}

// inZone corrects a time that was read without regard to the zone's name
// behind it; 0 for a name that is not known. Names are not unique: where
// Options.Zone goes by that name then, it is meant.
func (p *Parser) inZone(when int64, name []byte) int64 {
	if when == 0 || len(name) < 3 {
		return 0
	}
	local := 0
	if p.opt.Zone != nil {
		called, east := time.Unix(0, when).In(p.opt.Zone).Zone()
		if called == string(name) {
			return when
		}
		local = east
	}
	for i := range zones {
		if same(name, zones[i].name) {
			return when + (int64(local)-zones[i].east)*1e9
		}
	}
	return 0
}

// syslog is what follows the month.
func (c *clock) syslog() bool {
	if !c.dayHMS() {
		return false
	}
	if c.noYear && len(c.rest) > 5 && c.rest[0] == ' ' && c.rest[5] == ' ' {
		at := *c
		if c.skip(' ') && c.num(4, &c.year) && c.year >= 1970 {
			c.noYear = false
			return true
		}
		*c = at
	}
	return true
}

// dayHMS is the day, maybe the year, and the time of day.
func (c *clock) dayHMS() bool {
	if !c.skip(' ') {
		return false
	}
	c.skip(' ')
	if !c.digits(2, &c.day) || !c.skip(' ') {
		return false
	}
	if c.year == 0 {
		c.noYear = true
		if len(c.rest) > 4 && c.rest[4] == ' ' {
			if !c.num(4, &c.year) || !c.skip(' ') {
				return false
			}
			c.noYear = false
		}
	}
	return c.hms()
}

func (c *clock) dayFirst(sep byte) bool {
	return c.digits(2, &c.day) && c.skip(sep) && c.month3() && c.skip(sep) && c.num(4, &c.year)
}

func (c *clock) hms() bool {
	if !c.num(2, &c.hour) || !c.skip(':') || !c.num(2, &c.minute) || !c.skip(':') || !c.num(2, &c.second) {
		return false
	}
	if len(c.rest) > 1 && (c.rest[0] == '.' || c.rest[0] == ',') && digit(c.rest[1]) {
		c.comma = c.rest[0] == ','
		c.fraction()
	}
	return c.hour < 24 && c.minute < 60 && c.second <= 60 && c.month >= 1 && c.month <= 12 &&
		c.day >= 1 && c.day <= monthDays(c.month)
}

func (c *clock) fraction() {
	c.rest = c.rest[1:]
	unit := 100_000_000
	for len(c.rest) > 0 && digit(c.rest[0]) {
		c.nanosec += int(c.rest[0]-'0') * unit
		unit /= 10
		c.rest = c.rest[1:]
	}
}

// zone is Z, +hh:mm or +hhmm, maybe behind a blank; there need be none.
func (c *clock) zone() bool {
	if c.skip('Z') || c.skip('z') {
		c.zoned = true
		return true
	}
	b := c.rest
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	if len(b) < 5 || b[0] != '+' && b[0] != '-' || !digit(b[1]) {
		return true
	}
	at := *c
	var h, m int
	c.rest = b[1:]
	ok := c.num(2, &h)
	c.skip(':')
	if !ok || !c.num(2, &m) || h > 15 || m > 59 || len(c.rest) > 0 && digit(c.rest[0]) {
		*c = at
		return true
	}
	c.zoned, c.offset = true, h*3600+m*60
	if b[0] == '-' {
		c.offset = -c.offset
	}
	return true
}

func (c *clock) skip(want byte) bool {
	if len(c.rest) == 0 || c.rest[0] != want {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// num reads exactly size digits.
func (c *clock) num(size int, to *int) bool {
	if len(c.rest) < size {
		return false
	}
	n := 0
	for _, d := range c.rest[:size] {
		if !digit(d) {
			return false
		}
		n = n*10 + int(d-'0')
	}
	*to, c.rest = n, c.rest[size:]
	return true
}

// digits reads up to most digits, at least one.
func (c *clock) digits(most int, to *int) bool {
	n := 0
	for n < most && n < len(c.rest) && digit(c.rest[n]) {
		n++
	}
	return n > 0 && c.num(n, to)
}

// month3 is an English month in three letters.
func (c *clock) month3() bool {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(c.rest) < 3 {
		return false
	}
	var m [3]byte
	for i := range m {
		m[i] = lower(c.rest[i])
	}
	for i := 0; i < len(names); i += 3 {
		if names[i:i+3] == string(m[:]) {
			c.month, c.rest = i/3+1, c.rest[3:]
			return true
		}
	}
	return false
}

func weekday(b []byte) bool {
	switch string(b) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

func monthDays(m int) int {
	switch m {
	case 2:
		return 29
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// unix is the time in Unix nanoseconds.
func (c *clock) unix(o Options) int64 {
	if !c.noYear {
		return c.in(o, c.year)
	}
	if o.Now.IsZero() {
		return 0
	}
	latest := o.Now.Add(24 * time.Hour)
	year := latest.Year()
	for range 9 { // 29 February may be eight years ago
		if c.month != 2 || c.day != 29 || leap(year) {
			if when := c.in(o, year); when <= latest.UnixNano() {
				return when
			}
		}
		year--
	}
	return 0
}

func leap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

// in is the time in that year; 0 beyond what 64 bits of nanoseconds hold.
func (c *clock) in(o Options, year int) int64 {
	if year < 1970 || year > 2200 {
		return 0
	}
	zone := time.UTC
	if !c.zoned && o.Zone != nil {
		zone = o.Zone
	}
	t := time.Date(year, time.Month(c.month), c.day, c.hour, c.minute, c.second, c.nanosec, zone)
	return t.UnixNano() - int64(c.offset)*1e9
}

// parseStamp reads all of b as a time.
func (p *Parser) parseStamp(b []byte) (when int64, ok bool) {
	when, n := p.stamp(b)
	return when, n > 0 && n == len(b)
}

// parseEpoch reads all of b as a time since 1970, maybe with a fraction: in
// seconds, or in milli-, micro- or nanoseconds where there are so many digits
// that seconds would be beyond the year 5000.
func parseEpoch(b []byte) (when int64, ok bool) {
	whole, frac, _ := cut(b, '.')
	n, ok := parseUint(whole)
	if !ok || len(frac) > 0 && len(whole) > 11 {
		return 0, false
	}
	switch {
	case len(whole) <= 11:
		when = int64(n) * 1e9
	case len(whole) <= 14:
		return int64(n) * 1e6, n < 9e12
	case len(whole) <= 17:
		return int64(n) * 1e3, n < 9e15
	default:
		return int64(n), n < 9e18
	}
	unit := int64(1e8)
	for _, c := range frac {
		if !digit(c) {
			return 0, false
		}
		when += int64(c-'0') * unit
		unit /= 10
	}
	return when, n < 9e9
}
