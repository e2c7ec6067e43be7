// Package nettest makes disposable network namespaces for tests: the only
// place where tests may listen, scan or change firewall rules. A namespace is
// made with `ip netns add` under a random name and deleted when the test
// ends. Code runs inside one on a locked thread; a goroutine started there
// runs elsewhere, so open sockets inside Do and use them anywhere.
//
// It needs root. Without root a test is skipped by name; as root a failure to
// make a namespace fails the test.
package nettest
