// Package sdnotify tells the service manager how this process is: ready,
// alive, stopping. It is sd_notify(3)'s protocol, one datagram per message to
// the socket that NOTIFY_SOCKET names.
//
// The environment is read by cli, which hands in the socket's name
// (NOTIFY_SOCKET) and the time that WATCHDOG_USEC gives. Without a socket all
// calls do nothing: the process was not started by a service manager. A
// Notifier may be used by several goroutines. It never blocks longer than
// writing one datagram to a local socket takes, and at most a second.
package sdnotify
