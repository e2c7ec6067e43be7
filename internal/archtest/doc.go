// Package archtest keeps the house in order: it reads the source tree and
// says where a rule of the design is broken, naming the file, what it does
// and why that is not done here.
//
// Terms. A room is the first folder below internal (host, scan, audit, …), or
// cmd. A layer is the rooms of one level:
//
//	cmd → cli → {report, tui, history, remedy} → audit →
//	{host, scan, traffic, firewall, knowledge} → exposure
//
// Imports point downwards, and may skip layers. Rooms of one layer do not
// import each other. The workshop rooms (archtest, nettest, workshop, bench)
// stand outside the layers: only tests and programs of the workshop use them.
//
// Every file is read, whatever system it is built for, so a broken rule in a
// stub for another system is found too. The package reads sources and nothing
// else; it runs no command.
package archtest
