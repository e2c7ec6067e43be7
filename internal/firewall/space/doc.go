// Package space is exact set algebra on header space: what a list of rules
// does to all packets at once, without trying them.
//
// Terms. An axis is one property of a packet, cut into classes that no rule
// tells apart and numbered from 0: a coordinate. A Space says how many classes
// each axis has. Spans are a set of classes of one axis. A Box is a set of
// packets: one Spans for each axis that it limits; axes that it does not name
// are open. A region is a list of boxes. A list of boxes in order is a
// first-match list: each packet belongs to the first box that holds it.
//
// What is asked:
//
//   - Index finds the first box of a list that holds a point, or meets a box.
//   - Rest gives what a list of boxes leaves of a box, as disjoint boxes.
//   - Differ gives where two first-match lists have another effect.
//
// How. Rest takes away one box at a time, the one that covers most of what is
// left, and gives every piece only the boxes that meet it; boxes that cut a
// piece along one and the same axis are taken away together, so that a list
// of 10,000 single addresses costs one pass. Differ divides along the first
// entry that only one list has: outside of it the lists are often the same
// entry for entry and need no further look. An Index is a segment tree on the
// axis in which a box is narrowest, with the same again inside large nodes.
//
// All answers are exact or said to be unfinished: questions carry a Budget of
// steps, since the worst case of any such algebra grows with a power of the
// number of axes.
//
// Nothing here knows what the axes mean. Values are never changed in place and
// may be shared between goroutines; a Budget belongs to one question.
package space
