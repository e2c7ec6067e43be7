// Package inetd reads the configuration of internet super-servers, inetd and
// xinetd: which service stands behind a port that the super-server itself
// holds (inetd.conf(5), xinetd.conf(5)).
//
// It says what is configured, not what runs. Ports of services that are given
// by name come from the root's own /etc/services (services(5)).
//
// A Services is immutable once read.
package inetd
