package watch

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// located gives an error of a key the line where the key stands.
func (c *Config) located(f *ast.File, err error) error {
	var at *keyError
	if !errors.As(err, &at) {
		return bad("%v", err)
	}
	return &ConfigError{Line: lineOf(f, at.key), What: at.Error()}
}

func lineOf(f *ast.File, key string) int {
	for _, text := range yamlPath(key) {
		p, err := yaml.PathString(text)
		if err != nil {
			continue
		}
		if n, err := p.FilterFile(f); err == nil && n != nil && n.GetToken() != nil && n.GetToken().Position != nil {
			return n.GetToken().Position.Line
		}
	}
	return 0
}
