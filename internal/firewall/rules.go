package firewall

import "github.com/portreeve/portreeve/internal/firewall/ruleset"

// Rules are the rule sets that were read, prepared for questions. They must
// not be changed.
func (w *Wall) Rules() *ruleset.RuleSet { return w.rules }
