// Package tui is the full-screen live view of traffic: who talks to which
// port now, on a terminal of 40 by 10 characters or more, dark or light, with
// colour or without. Colour only repeats what words say.
//
// # Terms
//
// A feed is where flows come from. It gives totals; the tally makes rates and
// histories out of two reads of it. An account is what the tally keeps of one
// port or one pair of addresses. A query says which list is on the screen, how
// sorted and filtered; a page is the answer: the first rows of the list, as of
// one moment. A place is a list or a flow's pane, with its selection; places
// stack up as one goes down into them.
//
// # Who runs where
//
// The engine's goroutine owns the tally and is the only one that calls
// Feed.Read. Another one asks for owners, which may be slow. The terminal's
// loop owns the model, which is a value: update and frame are functions of it
// and of what comes in, without clock, input or output. The model says what it
// wants to see, the engine sends pages. Run returns when all three are done.
//
// # Bounds
//
// Of up to 900,000 flows the tally remembers what it read last (56 bytes
// each); of ports and of pairs it keeps the 32,768 to 65,536 with the most
// bytes; a page has 1,000 rows. What is beyond is counted and said.
//
// # Never
//
// It never prints text from outside as it came, never guesses what an address
// cut short might be (an ellipsis shows the cut, the pane has it whole), never
// changes anything on the host, and never leaves the terminal in another state
// than it was in: also after a failure, which Run returns as an error.
package tui
