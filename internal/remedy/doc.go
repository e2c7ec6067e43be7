// Package remedy changes what a firewall lets in, so that it can be taken
// back: by a command, by itself when nobody confirms in time, and after the
// process that did it, or its session, is gone.
//
// Terms. A change is one apply: the rules of one or several backends (nft, or
// iptables of a variant and family), taken together or not at all. Its entry
// is a folder of the journal. Everything that is loaded is ours alone: the
// table "inet portreeve" of nftables, or chains PORTREEVE-* of the filter
// table, hooked by one jump at the top of INPUT, FORWARD or OUTPUT.
//
// The way of a change:
//
//  1. Prepare reads what is loaded, refuses text that touches anything but
//     ours, loads it on trial into a network namespace made for that, reads
//     it back as the kernel has it, and judges by the rule model whether the
//     sessions of those who administer this host would still be let in, both
//     as new and as established connections. It changes nothing.
//  2. Apply writes the entry to disk: what was there before, byte for byte,
//     what is to be loaded, and a copy of every rule set of the host. Then it
//     starts the guard, a process of its own session, and waits until it is
//     ready. Only then the rules are loaded, one transaction for each
//     backend, and read back: they must be what the trial gave, the sessions
//     must still be let in, and the caller's own check must pass. If not, or
//     when Apply ends in any way before that, all is put back.
//  3. From then on the change is open. Confirm keeps it, Undo takes it back,
//     and the guard takes it back when the deadline passes, counted by the
//     clock that runs on while the machine sleeps (CLOCK_BOOTTIME).
//
// Who decides. An entry holds one file at.open. Confirm, Undo and the guard
// each try to rename it (at.confirmed, at.undone, at.expired, at.failed):
// rename(2) lets exactly one of them win, the others read the winner's name
// from the folder and say so. A confirmed change is undone in the same way.
// Renames need no space, so a disk that is full by then does not matter.
// Whoever has decided to take a change back does it under a lock on the
// entry, which the kernel frees when he dies; the guard, and every later
// command, finish what is left undone. Putting back is idempotent.
//
// What is not promised. Rules are not persistent: a reboot ends them. Of
// established connections only TCP sessions of sshd (and what SSH_CONNECTION
// of this process and its ancestors tells) are known as sessions. Rules in
// other tables stay as they are and are met as well.
package remedy
