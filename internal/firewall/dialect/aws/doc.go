// Package aws reads and writes the packet filters of Amazon EC2: security
// groups and network access lists.
//
// Read takes JSON documents, one after the other, in any of these forms, and
// tells them apart by their keys: what `aws ec2 describe-security-groups`,
// describe-security-group-rules and describe-network-acls print (also lists
// and single objects out of them), Terraform configuration in .tf.json,
// `terraform show -json`, and CloudFormation templates in JSON as far as they
// are literal. describe-network-interfaces, describe-instances and
// describe-prefix-lists beside them say which addresses belong to a group or
// a prefix list; without them a rule that refers to one is a condition that
// is not understood, and named.
//
// Every group makes two chains, "sg-1 ingress" and "sg-1 egress"; so does
// every access list. Rules of a group only permit, and see only a
// connection's first packet; what no rule permits is denied. Access lists are
// taken in order of rule numbers, see every packet, and are bound to the
// subnets that they are associated with. The chains of a group are bound to
// the network interfaces that have only this group; an interface with several
// has two chains of its own, "eni-1 ingress" and "eni-1 egress", in which the
// rules of all of them stand together.
//
// Not in the model: security groups and access lists do not filter traffic
// with Amazon's own DNS resolver, DHCP, instance metadata, time and licence
// services (169.254.0.0/16, fd00:ec2::/32, and the addresses that the VPC's
// router reserves).
//
// Sources: the EC2 API reference (IpPermission, SecurityGroupRule,
// NetworkAclEntry), the VPC user guide on security groups and access lists,
// the Terraform AWS provider's and the CloudFormation resource references.
package aws
