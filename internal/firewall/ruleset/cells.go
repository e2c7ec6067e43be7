package ruleset

// portCuts divides the ports into cells within which no rule tells one port
// from another, so that one question answers for all of a cell.
type portCuts struct {
	cell [1 << 16]uint16 // 65,536 cells at most: numbered from 0
}

// PortCell numbers the cell of a port; Prepare must have been called.
func (s *RuleSet) PortCell(port uint16) int { return int(s.cuts.cell[port]) }

// cutPorts finds every port at which some set of ports begins or ends.
func (s *RuleSet) cutPorts() {
	var begins [1<<16 + 1]bool
	for _, ch := range s.Chains {
		for _, r := range ch.Rules {
			for _, step := range r.Steps {
				cutStep(&begins, step)
			}
		}
	}
	s.cuts = &portCuts{}
	n := uint16(0)
	for port := 1; port < 1<<16; port++ {
		if begins[port] {
			n++
		}
		s.cuts.cell[port] = n
	}
}

func cutStep(begins *[1<<16 + 1]bool, step Step) {
	switch s := step.(type) {
	case Match:
		cutExpr(begins, s.Expr)
	case Choose:
		for _, row := range s.Rows {
			cutRow(begins, s.Fields, row.Sets)
		}
	case Translate:
		for _, row := range s.Rows {
			cutRow(begins, s.Fields, row.Sets)
		}
		for _, t := range s.To {
			if t.FirstPort != 0 {
				cutAll(begins)
			}
		}
	case Assign:
		if s.From == DPort && s.Mask != (Value{}) {
			cutAll(begins)
		}
	}
}

func cutExpr(begins *[1<<16 + 1]bool, e Expr) {
	switch e := e.(type) {
	case In:
		if namesPort([]Field{e.Field}) && e.Mask != (Value{}) {
			cutAll(begins)
		}
		cutRow(begins, []Field{e.Field}, []Set{e.Set})
	case Tuple:
		for _, row := range e.Rows {
			cutRow(begins, e.Fields, row)
		}
	case All:
		for _, p := range e {
			cutExpr(begins, p)
		}
	case Any:
		for _, p := range e {
			cutExpr(begins, p)
		}
	case Not:
		cutExpr(begins, e.Expr)
	}
}

func cutRow(begins *[1<<16 + 1]bool, fs []Field, row []Set) {
	for i, f := range fs {
		if !namesPort([]Field{f}) {
			continue
		}
		for _, iv := range row[i] {
			begins[min(iv.Lo.Lo, 1<<16)] = true
			begins[min(iv.Hi.Lo, 1<<16-1)+1] = true
		}
	}
}

func cutAll(begins *[1<<16 + 1]bool) {
	for i := range begins {
		begins[i] = true
	}
}
