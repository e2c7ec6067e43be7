// Package gcp reads the firewalls of Google Cloud's VPC networks.
//
// Read takes JSON or YAML documents, one after the other, and tells them apart by
// their keys: VPC firewall rules (`gcloud compute firewall-rules list --format
// json`, the API's resources, what aerleon and capirca write), firewall
// policies (`gcloud compute network-firewall-policies describe`, hierarchical
// ones, and lists of their rules), and what `gcloud compute networks
// get-effective-firewalls` prints. Instances beside them (`gcloud compute
// instances list`) say which addresses have a tag or a service account.
//
// Every network makes two chains, "NAME ingress" and "NAME egress": the VPC
// rules by priority, at one priority those that deny first, then the implied
// rules, which deny ingress and allow egress. They see a connection's first
// packet. A rule for some targets applies only to instances with the tag or
// account: the chain has a condition there that depends on the instance. With
// Options.TargetTags or Options.TargetAccounts the chains are those of one
// instance.
//
// A firewall policy makes chains of its own, "policy NAME ingress" and
// "… egress"; goto_next, and the end of the policy, hand the packet to the
// next policy or the VPC rules. Effective firewalls are joined in the order in
// which the network evaluates them: hierarchical policies, then VPC rules and
// the global network policy as networkFirewallPolicyEnforcementOrder says.
//
// Not in the model: the traffic that Google Cloud always blocks (GRE between
// networks, egress to port 25 of the Internet) or always allows (the metadata
// server 169.254.169.254).
//
// Sources: the Compute Engine API (firewalls, firewallPolicies) and the
// documentation of VPC firewall rules and of firewall policy rules.
package gcp
