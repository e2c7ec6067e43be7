// Package unit writes the systemd unit under which `portreeve watch` runs, and
// puts it in its place or takes it away.
//
// The unit is a template in a data file, with the reason beside each thing
// that it allows. What a configuration needs more than watching (audits by the
// clock, mail, other namespaces) is added by Needs, and nothing else.
//
// It never replaces or removes a file that it did not write: the first line
// tells. It talks to the service manager through systemctl alone. Nothing here
// may be called by two goroutines at once.
package unit
