// Package wire decodes the headers of captured frames without allocating.
package wire
