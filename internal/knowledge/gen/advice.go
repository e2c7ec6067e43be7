package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/knowledge/registry"
)

const (
	adviceDir  = "advice"
	adviceFile = "advice.json.gz"
)

// convertAdvice packs the YAML files. A table that already holds the same
// advice is left alone: compressors of other Go releases write other bytes.
func convertAdvice(data string) error {
	all, err := loadAdvice(os.DirFS(filepath.Join(data, adviceDir)))
	if err != nil {
		return err
	}
	table, err := loadTable(data)
	if err != nil {
		return err
	}
	if problems := check(all, table); len(problems) > 0 {
		return fmt.Errorf("%d problems in %s:\n%s", len(problems), adviceDir, strings.Join(problems, "\n"))
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	path := filepath.Join(data, adviceFile)
	if have, err := os.ReadFile(path); err == nil {
		if old, err := unpack(have); err == nil && bytes.Equal(old, text) {
			return nil
		}
	}
	packed, err := pack(text)
	if err != nil {
		return err
	}
	return writeChanged(path, packed)
}

func loadTable(data string) (*registry.Table, error) {
	b, err := os.ReadFile(filepath.Join(data, tableFile))
	if err != nil {
		return nil, err
	}
	return registry.Decode(string(b))
}

// loadAdvice reads every *.yaml file strictly: an unknown key is an error
// that names the file and the line. The result is sorted by id.
func loadAdvice(dir fs.FS) ([]*knowledge.Advice, error) {
	files, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*knowledge.Advice
	for _, name := range files {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		list, err := parseAdvice(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b *knowledge.Advice) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func parseAdvice(text []byte) (list []*knowledge.Advice, err error) {
	// The YAML library panics on some malformed input (a tag without a value
	// where a list belongs, in v1.19.2): an error of the file all the same.
	defer func() {
		if r := recover(); r != nil {
			list, err = nil, fmt.Errorf("malformed YAML: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := dec.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if slices.Contains(list, nil) {
		return nil, errors.New("an empty entry")
	}
	return list, nil
}

func pack(text []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
