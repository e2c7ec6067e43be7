// Package sink takes notices to where people read them: standard error, JSON
// Lines, syslog, journald, a webhook, mail, metrics.
package sink
