package remedy

import "errors"

// modeler reads saved rules into the model without loading them, where no
// trial is possible.
type modeler interface {
	Model(saved []byte) (*Present, error)
}

var errNoModel = errors.New("this backend's rules are read only once they are loaded")

// modelled is what is expected of rules that could not be tried.
func modelled(b Backend, saved []byte) *Present {
	err := errNoModel
	if m, ok := b.(modeler); ok {
		var p *Present
		if p, err = m.Model(saved); err == nil {
			return p
		}
	}
	return &Present{Text: saved, Doubt: err.Error()}
}
