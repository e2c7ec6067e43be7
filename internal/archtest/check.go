package archtest

import "io/fs"

// Check reads the module at the root of fsys and returns every broken rule.
// The error is for a tree that cannot be read or parsed.
func Check(fsys fs.FS) ([]Violation, error) {
	t, err := load(fsys)
	if err != nil {
		return nil, err
	}
	var out []Violation
	for _, rule := range rules() {
		out = append(out, rule(t)...)
	}
	return out, nil
}

func rules() []func(*tree) []Violation {
	return []func(*tree) []Violation{
		knownRooms, downwards, leafCodecs, plainVocabulary, pureJoin, kernelFiles, stubs,
		noClock, handedDown, quietLibraries, errorText,
		names, packageComments, noInit, fileSize, installable,
	}
}
