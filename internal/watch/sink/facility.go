package sink

import "slices"

// facilities are RFC 5424's (table 1) in their numbers' order, by the names of
// syslog(3) where it has one.
func facilities() []string {
	return []string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
}

// facilityNumber of a name; empty is daemon.
func facilityNumber(name string) (int, bool) {
	if name == "" {
		name = "daemon"
	}
	n := slices.Index(facilities(), name)
	return n, n >= 0
}
