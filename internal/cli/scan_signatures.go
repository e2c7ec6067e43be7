package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/identify"
	"github.com/portreeve/portreeve/internal/scan/identify/nmapprobes"
	"github.com/portreeve/portreeve/internal/scan/identify/recog"
)

// signatures asks several databases in turn.
type signatures []identify.Signatures

// Match gives the first answer.
func (all signatures) Match(ctx context.Context, proto, probe string, answer []byte) (exposure.Service, bool) {
	for _, one := range all {
		if s, ok := one.Match(ctx, proto, probe, answer); ok {
			return s, true
		}
	}
	return exposure.Service{}, false
}

// database is what the loaders of installed files give.
type database interface {
	Signature(ctx context.Context, proto, service string, answer []byte) (exposure.Service, bool)
}

// byProbe asks a database that goes by the service; an answer to a probe of
// one protocol is taken for that protocol.
type byProbe struct{ database }

func (b byProbe) Match(ctx context.Context, proto, probe string, answer []byte) (exposure.Service, bool) {
	if probe == "greeting" {
		probe = ""
	}
	return b.Signature(ctx, proto, probe, answer)
}

// openSignature opens one database, or with auto all that are installed.
func openSignature(name string) ([]identify.Signatures, error) {
	if name == "auto" {
		return installedSignatures()
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	var db database
	if info.IsDir() {
		db, err = openRecog(name)
	} else {
		db, err = openNmapProbes(name)
	}
	if err != nil {
		return nil, err
	}
	return []identify.Signatures{byProbe{db}}, nil
}

func installedSignatures() ([]identify.Signatures, error) {
	var all []identify.Signatures
	if path, ok := nmapprobes.Find(nmapprobes.Look{Getenv: os.Getenv}); ok {
		db, err := openNmapProbes(path)
		if err != nil {
			return nil, err
		}
		all = append(all, byProbe{db})
	}
	if folder, ok := recog.Find(recog.Look{Getenv: os.Getenv}); ok {
		db, err := openRecog(folder)
		if err != nil {
			return nil, err
		}
		all = append(all, byProbe{db})
	}
	return all, nil
}

func openNmapProbes(path string) (database, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	db, _, err := nmapprobes.Load(f) // lines that cannot be used are left out
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return db, nil
}

func openRecog(folder string) (database, error) {
	db, _, err := recog.Load(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	return db, nil
}
