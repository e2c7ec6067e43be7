// Package watch follows the listeners of this host, judges each change by
// policy and baseline, and tells it to sinks so that flapping and restarts
// page nobody.
package watch
