// Package runtimes names containers: from the ID that a control group path
// holds to the name that a person gave, by the runtime's own state files and,
// for Docker where its state lies elsewhere, by its local socket.
//
// State files come first: reading them starts nothing, while a connection to
// a socket may make systemd start the daemon behind it. For the same reason
// Podman's socket is never asked. A name that neither tells stays empty.
//
// Kubernetes containers are named "NAMESPACE/POD/CONTAINER", the container
// that holds a pod's namespaces "NAMESPACE/POD".
//
// State files and answers are bounded in size; a socket is given TimeLimit. A
// Namer may be used by several goroutines at once.
package runtimes
