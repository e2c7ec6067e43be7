// Bench measures portreeve side by side with the tools that people use today
// and writes the figures to docs/benchmarks.md. Run it from the root of the
// repository, as root, on a machine with Debian's tools (make bench installs
// them):
//
//	go run ./internal/bench                   all sections
//	go run ./internal/bench -only host-large  one section; the others stay as they are
//
// Terms. A section is one situation, made in a network namespace of its own
// that ends with it: a host under load, a small host, a host to audit. A
// contest is one row: our command against one other, run in turns (ours,
// theirs, theirs, ours, …) after one warm-up each. Times are wall clock, the
// median of the rounds; the ratio is theirs to ours, the median of the pairs,
// with the least and the greatest pair beside it. Peak memory is the maximum
// resident set that GNU time reports, of a run by itself.
//
// Everything writes to /dev/null while it is timed. Beside that, each command
// runs once into memory, and the sets of sockets that both name are compared:
// a wrong answer is no speed, so a difference fails the run.
//
// Scanners are measured in a lab: a scanner and a target in two namespaces,
// joined by a veth. What the target holds is known, so a section is a hunt for
// it: two or more scanners in turns, every timed run's answer judged against
// the truth (a trial), and the page says how many were found, missed and wrong.
// Nothing leaves the two namespaces. Daemons (daemons.txt) run from temporary
// folders and end with the section. -scans says how many runs each scanner
// gets; a quick look at one section is
//
//	go run ./internal/bench -only scan-syn -scans 3 -out /tmp/page.md
//
// A later room adds a section: a value in sections, and a function that builds
// its situation and lists its contests.
package main
