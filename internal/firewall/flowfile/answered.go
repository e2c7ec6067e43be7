package flowfile

import "github.com/portreeve/portreeve/internal/exposure"

// AnsweredBy tells from a flow's state and counts whether the server answered
// as servers do.
func AnsweredBy(f *exposure.Flow) exposure.Answered { return answered(f) }
