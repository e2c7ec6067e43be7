// Package permitstest draws rule files and packets for the tests of what
// writes rule files in other dialects, and says what a file does with a
// packet.
package permitstest
