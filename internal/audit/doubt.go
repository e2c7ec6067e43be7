package audit

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// doubtfulGrade is from where on a capture cannot show that nobody came.
const doubtfulGrade = "C"

// JudgeCapture says what captured packets are worth for telling that nobody
// came: the grade, and why they must not be used for that, if they must not.
// Conversations of one direction are left to Census.Doubts: on a host that
// strangers scan, most of what is one-sided is theirs.
func JudgeCapture(q flow.Quality, lost capture.Stats) (grade string, doubts []string) {
	q.OneSidedFlows = 0
	g := flow.Judge(q, lost)
	for i, why := range g.Because {
		if g.Letter >= doubtfulGrade || lost.Dropped > 0 && strings.Contains(why, "dropped") {
			doubts = append(doubts, why+": "+g.Means[i])
		}
	}
	return g.Letter, doubts
}

// Doubts are why the conversations seen cannot be all that there were.
func (c Census) Doubts() []string {
	if up := c.Both + c.OneWay; c.OneWay > 0 && 10*c.OneWay >= up {
		return []string{fmt.Sprintf("of %d of %d connections only one direction was seen: the capture misses packets or one way of them", c.OneWay, up)}
	}
	return nil
}
