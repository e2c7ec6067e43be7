// Package sink takes notices to where people read them: standard error, JSON
// Lines, syslog, journald, a webhook, mail, OpenTelemetry; and it serves the
// watch's figures to Prometheus.
//
// # Terms
//
// A notice is one change, judged. A sink takes notices somewhere. The fan-out
// gives each sink a lane: a bounded queue and a worker, so that one sink that
// hangs keeps nobody waiting. What has a receiver far away (webhook, mail,
// otlp) is spooled: written to disk first, in segments that are only appended
// to, and delivered by a courier from there; a ledger says up to where. What
// the receiver refuses for good is parked in a file. What did not fit is
// dropped, counted and told.
//
// # Promises
//
// A notice that a spooled sink accepted survives the death of the process at
// any point; the machine's own death may cost what was accepted in the last
// 200 ms. It is delivered once, except that the one request on its way (for
// mail and otlp: one batch) may be sent again after a death or a lost answer,
// with the same Idempotency-Key. Order is kept within a sink.
//
// # Locking
//
// Every exported method may be called by several goroutines. A spool belongs
// to one process at a time (flock).
//
// # What it never does
//
// It never blocks the engine for a receiver, follows a redirect, prints
// anything of its own (Place.Say takes what must be said), or puts text from
// outside anywhere unescaped.
package sink
