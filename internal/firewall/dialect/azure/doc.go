// Package azure reads the network security groups of Microsoft Azure.
//
// Read takes JSON documents, one after the other, and tells them apart by
// their keys: what `az network nsg show` and `list` print, flat or with
// properties, `az network nsg rule list`, Get-AzNetworkSecurityGroup through
// ConvertTo-Json, ARM templates as far as they are literal, resources of the
// REST API, and effective rules (`az network nic list-effective-nsg`).
// Virtual networks and network interfaces beside them say what the tag
// VirtualNetwork stands for, where a group is used, and which addresses
// belong to an application security group.
//
// A group makes two chains, "NAME inbound" and "NAME outbound": its rules and
// the default rules by priority, the first that fits decides. They see a
// connection's first packet. A group of a subnet applies to each interface in
// it, beside the interface's own: both must permit.
//
// The tag VirtualNetwork is the address space of the group's virtual network
// and of its peers, and 168.63.129.16. Where the documents do not show the
// network, or it has a gateway (which adds networks that they do not show),
// the tag is a condition that is not understood; where they show no network at
// all, publicly routed addresses are taken to be outside of it. Internet is
// what is publicly routed and not in VirtualNetwork. AzureLoadBalancer is
// 168.63.129.16, from where probes come. Other tags are not known, unless
// Options say so.
// User-defined routes that widen VirtualNetwork are not looked at.
//
// Sources: Microsoft's documentation of network security groups, of service
// tags and of the resource Microsoft.Network/networkSecurityGroups.
package azure
