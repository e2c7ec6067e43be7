package policy

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds lists and maps within each other; a policy needs four. The
// YAML library takes minutes over a file of brackets.
const maxDepth = 16

// screen refuses, by its words and before it is put together, what no policy
// holds: aliases, which can make a small file expand without bound, tags,
// keys that are lists, and nesting without end.
func screen(b []byte) error {
	s := nesting{keys: map[int]int{}}
	for _, tok := range lexer.Tokenize(string(b)) {
		if what := s.take(tok); what != "" {
			e := &Error{What: what}
			if tok.Position != nil {
				e.Line, e.Column = tok.Position.Line, tok.Position.Column
			}
			return e
		}
	}
	return nil
}

// maxKeys bounds the keys of one map, of which the YAML library compares each
// with all others; groups are the only map with many.
const maxKeys = 1000

// nesting is how deep the words so far lie: within brackets, and in dashes on
// one line ("- - - x"); and how many keys the maps that are open have.
type nesting struct {
	brackets []int       // keys within each
	dashes   int         // one after another
	keys     map[int]int // of block maps, by column
}

func (s *nesting) take(tok *token.Token) (wrong string) {
	dashes := 0
	switch tok.Type {
	case token.AnchorType, token.AliasType, token.MergeKeyType:
		return "YAML anchors and aliases are not used in a policy"
	case token.TagType:
		return "YAML tags are not used in a policy"
	case token.MappingKeyType:
		return "a key that begins with \"? \" is not used in a policy"
	case token.MappingStartType, token.SequenceStartType:
		s.brackets = append(s.brackets, 0)
	case token.MappingEndType, token.SequenceEndType:
		s.brackets = s.brackets[:max(len(s.brackets)-1, 0)]
	case token.SequenceEntryType:
		dashes = s.dashes + 1
		s.leave(tok)
	case token.MappingValueType:
		if s.key(tok) > maxKeys {
			return fmt.Sprintf("a map with more than %d keys", maxKeys)
		}
	}
	s.dashes = dashes
	if len(s.brackets)+s.dashes > maxDepth {
		return fmt.Sprintf("lists or maps nested deeper than %d", maxDepth)
	}
	return ""
}

// key counts a key of the innermost map.
func (s *nesting) key(colon *token.Token) int {
	if n := len(s.brackets); n > 0 {
		s.brackets[n-1]++
		return s.brackets[n-1]
	}
	if colon.Prev == nil || colon.Prev.Position == nil {
		return 0
	}
	s.leave(colon.Prev)
	column := colon.Prev.Position.Column
	s.keys[column]++
	return s.keys[column]
}

// leave forgets the maps that end where a word stands further left.
func (s *nesting) leave(tok *token.Token) {
	if tok.Position == nil {
		return
	}
	for column := range s.keys {
		if column > tok.Position.Column {
			delete(s.keys, column)
		}
	}
}
