// Package kubernetes reads and writes NetworkPolicies (networking.k8s.io/v1).
//
// Read takes YAML with any number of documents, or JSON, with lists: what
// `kubectl get networkpolicies,pods,namespaces -A -o yaml` prints, or files as
// people apply them. Pods and namespaces in the same stream give labels,
// addresses and named ports; without them what selects pods by labels is a
// condition that is not understood.
//
// Every pod of the stream makes two chains, "NAMESPACE/POD ingress" and
// "NAMESPACE/POD egress", bound to the device NAMESPACE/POD. Without pods,
// every selector of a policy makes them for the pods that it selects:
// "NAMESPACE/app=web ingress"; "NAMESPACE/all pods" is the empty selector. The
// policies that select a pod add up: what one of them permits is permitted,
// and a direction that none of them speaks of is open. Only a connection's
// first packet is looked at.
//
// A pod's own node always reaches it; the chains of pods know its address, the
// others do not speak of it. Policies of Cilium and Calico, and
// AdminNetworkPolicies, are not read: when a stream has nothing else that is
// an error, otherwise every chain begins with a rule that may do anything.
//
// YAML is read document by document and item by item, so that memory is
// bounded by the policies and pods themselves.
//
// Sources: the Kubernetes API reference (NetworkPolicy v1, LabelSelector),
// the defaults of the API server, and the concept page of network policies.
package kubernetes
