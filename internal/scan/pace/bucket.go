package pace

import "time"

// bucket lets rate tokens a second through, and makes good what was missed
// within the last slack.
type bucket struct {
	rate   float64 // tokens a second; 0: no limit
	tokens float64
	last   time.Time
}

// slack is the time for which a bucket catches up: a scheduler's pauses must
// not make a scan slower than asked, nor a long one end in a burst.
const slack = 50 * time.Millisecond

func newBucket(rate float64, now time.Time) bucket { return bucket{rate: rate, tokens: 1, last: now} }

func (b *bucket) limited() bool { return b.rate > 0 }

func (b *bucket) fill(now time.Time) {
	b.tokens += now.Sub(b.last).Seconds() * b.rate
	b.tokens = min(b.tokens, max(1, b.rate*slack.Seconds()))
	b.last = now
}

// ready is how many tokens there are.
func (b *bucket) ready(now time.Time) int {
	b.fill(now)
	return max(int(b.tokens), 0)
}

// take uses n tokens; a debt is allowed and paid later.
func (b *bucket) take(now time.Time, n int) {
	if b.limited() {
		b.fill(now)
		b.tokens -= float64(n)
	}
}

// until is how long the next token takes.
func (b *bucket) until(now time.Time) time.Duration {
	b.fill(now)
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}

// trackSeconds is how long a connection tracker keeps a SYN without answer:
// Linux nf_conntrack_tcp_timeout_syn_sent.
const trackSeconds = 120

// tracker counts the connections that a tracker on the way still keeps.
type tracker struct {
	seconds [trackSeconds]int
	last    int64 // Unix time of the newest entry
	sum     int
}

func (t *tracker) add(now time.Time, n int) {
	t.age(now)
	t.seconds[t.last%trackSeconds] += n
	t.sum += n
}

func (t *tracker) held(now time.Time) int {
	t.age(now)
	return t.sum
}

// age drops what is older than trackSeconds.
func (t *tracker) age(now time.Time) {
	second := now.Unix()
	if second-t.last > trackSeconds {
		t.last = second - trackSeconds
	}
	for t.last < second {
		t.last++
		t.sum -= t.seconds[t.last%trackSeconds]
		t.seconds[t.last%trackSeconds] = 0
	}
}
