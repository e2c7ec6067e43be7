// Package nmapxml reads nmap's XML output (nmap -oX, and masscan's imitation
// of it) as port states seen from elsewhere, and writes scans in nmap's XML
// and grepable formats. The formats are nmap.dtd of the nmap distribution and
// https://nmap.org/book/output-formats-grepable-output.html.
//
// Terms. A run is one file: when the scan began, whether it came to its end,
// and its hosts. Ports that nmap lists become port states; ports that it only
// counts (extraports) become counts.
//
// Input is hostile: it is read as a stream, one token at a time, with bounds
// on the size of a token, the depth and the number of ports; no entity is
// expanded and nothing is fetched. A file that ends too early gives what was
// read, with the error.
//
// When reading, names, products and reasons stay as the file writes them:
// whoever shows them must escape them. When writing, text is bounded and
// escaped here, so that neither XML nor a terminal obeys it. A scan with gaps
// is written as a run that did not come to its end. Writing holds one piece of
// the document in memory, never a copy of the scan. The package keeps no
// state; it may be used from several goroutines as long as nobody changes the
// scan.
package nmapxml
