// Package capture reads packets from capture files and from live interfaces.
package capture
