// Package nmapprobes reads an nmap-service-probes file that the user has
// installed with nmap, and says by it what a server is from what it answered.
// The file itself is nmap's and is never shipped; its format is documented at
// nmap.org/book/vscan-fileformat.html, and how nmap uses it at
// nmap.org/book/vscan-technique.html.
//
// Terms. A Probe is a message with the lines by which its answers are
// recognised; the probe called NULL sends nothing and recognises greetings. A
// match line names service, product and version; a softmatch line only the
// service, and after it only match lines of the same service count. Where a
// probe's own lines say nothing, its fallbacks are asked, and for TCP at last
// NULL. Rarity runs from 1 (often useful) to 9.
//
// Load reads everything and compiles nothing; a line that is wrong becomes a
// Note and is left out. Patterns are compiled when an answer first needs them,
// and those that cannot be are counted in Health.
//
// Answers are hostile: of each, maxAnswer bytes are looked at for at most
// maxTime, which a backtracking pattern cannot overrun by more than its own
// timeout (see bytepattern). Results are valid UTF-8, bounded, and must be
// escaped by whoever shows them.
//
// Locking: a DB does not change once loaded; its methods may be called from
// several goroutines. It opens no files but those that Find looks for and
// never touches the network: Probes says what might be sent, the caller
// decides. The file's probes are nmap's choice, not this project's: some are
// not read-only, and a caller who sends them should say so.
package nmapprobes
