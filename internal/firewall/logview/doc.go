// Package logview makes views of firewall events: by port, pair, source, rule
// and time, who swept or scanned, what was let in, and how far the log is only
// a sample. It does no I/O and looks at no clock.
//
// A View takes events (Add) and gives a Result at any moment, as often as
// wanted. It belongs to one goroutine. Several workers have a View each, all
// made with equal Options, and Merge puts them together: how the events were
// divided does not show in what is exact, nor in any count of distinct things.
//
// Memory is bounded whatever comes (Limits): with the defaults a View stays
// below 60 MiB. Until a limit is reached everything is exact. Then:
//
//   - a Count of distinct things is an estimate and says so (About). Every
//     row has a sketch (sketches): few things are held as they are and stay
//     exact, more are registers. How wide sketches are is the same for all
//     rows and follows from what was seen, not from its order; with the
//     defaults up to 64 things are told within some percent also when a
//     million random sources ask for all ports;
//   - of rows (sources, pairs, ports, rules) those with the most events are
//     kept, as in lossy counting (Manku, Motwani 2002). A row that came late
//     tells how many events it may have missed before (Missed), and a Left
//     how many events and rows are not shown;
//   - a list of ports that is not whole says so (PortsCut).
//
// Sums over all events are always exact.
//
// # Scans
//
// Only probes are judged: events that were denied, or whose line does not tell
// and whose source is outside. Left out are chatter (broadcast, multicast,
// discovery between neighbours), late answers (from a service's port to a
// client's port: the connection was closed or forgotten meanwhile), and a
// blocked client's attempts at web, name and time servers outside. See
// Thresholds for when probes are a scan or a sweep, and whom permits excuse.
package logview
