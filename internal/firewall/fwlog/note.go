package fwlog

import "bytes"

// repeated takes syslog's "message repeated N times: [ … ]" off the body: the
// line stands for N more of the message before it (rsyslog
// $RepeatedMsgReduction, sysklogd).
func (l *line) repeated() {
	rest, ok := cutPrefix(l.body, "message repeated ")
	if !ok {
		return
	}
	n, rest, _ := cut(rest, ' ')
	times, ok := parseUint(n)
	rest, ok2 := cutPrefix(rest, "times: [")
	if !ok || !ok2 || times == 0 || len(rest) == 0 || rest[len(rest)-1] != ']' {
		return
	}
	l.repeats = times
	l.body = uptime(trim(rest[:len(rest)-1]))
	l.msg = l.body
}

// note knows the lines with which loggers say that they left lines out:
//
//	last message repeated 5 times                      syslogd
//	net_ratelimit: 12 callbacks suppressed             Linux
//	Suppressed 34 messages from kernel                 journald
//	imuxsock lost 56 messages from pid 7 due to rate-limiting
//	imjournal: 56 messages lost due to rate-limiting   rsyslog
//
// It tells e how many.
func (l *line) note(e *Event) bool {
	b := l.msg
	if len(b) > 256 || len(b) < 16 || !hasSuffix(b, "suppressed") && !bytes.Contains(b, []byte("message")) {
		return false
	}
	for _, phrase := range notes {
		if at := bytes.Index(b, phrase.before); at >= 0 {
			rest := b[at+len(phrase.before):]
			if phrase.number == numberBefore {
				rest = lastWord(b[:at])
			}
			n, after, _ := cut(rest, ' ')
			times, ok := parseUint(n)
			if ok && hasPrefix(after, phrase.after) {
				e.Limited, e.Suppressed = true, times
				return true
			}
		}
	}
	return false
}

// lastWord is the word at the end of b.
func lastWord(b []byte) []byte {
	return b[bytes.LastIndexByte(b, ' ')+1:]
}

// Where a note's number stands.
const (
	numberBehind = iota
	numberBefore
)

// notes are the phrases beside the number.
var notes = []struct {
	before []byte
	number int
	after  string
}{
	{[]byte("last message repeated "), numberBehind, "times"},
	{[]byte("message repeated "), numberBehind, "times"},
	{[]byte(" callbacks suppressed"), numberBefore, ""},
	{[]byte("Suppressed "), numberBehind, "messages from "},
	{[]byte(" lost "), numberBehind, "messages from pid"},
	{[]byte(" messages lost due to rate-limiting"), numberBefore, ""},
}
