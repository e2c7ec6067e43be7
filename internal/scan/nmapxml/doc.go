// Package nmapxml reads nmap's XML output (nmap -oX, and masscan's imitation
// of it) as port states seen from elsewhere. The format is nmap.dtd of the
// nmap distribution.
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
// Names, products and reasons stay as the file writes them: whoever shows them
// must escape them. The package keeps no state.
package nmapxml
