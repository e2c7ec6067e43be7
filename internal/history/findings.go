package history

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// SetFindings says which findings stand now by one source ("audit", "watch").
// Those that did not stand before are opened, those that stood and are not
// among them are resolved; both are returned.
func (s *Store) SetFindings(ctx context.Context, at time.Time, source string, findings []exposure.Finding) (opened, resolved []FindingLife, err error) {
	err = s.change(ctx, "keep the findings in", func(t *tx) error {
		standing, err := t.standing(source)
		if err != nil {
			return err
		}
		for i := range findings {
			life, err := t.stands(at, source, &findings[i], standing)
			if err != nil {
				return err
			}
			if life != nil {
				opened = append(opened, *life)
			}
			delete(standing, findings[i].ID)
		}
		resolved, err = t.resolve(at, standing)
		return err
	})
	return opened, resolved, err
}

// standing are the source's open findings by their ID.
func (t *tx) standing(source string) (map[string]FindingLife, error) {
	out := map[string]FindingLife{}
	list, err := t.findings("source = ? AND resolved IS NULL", []any{source}, -1)
	for _, f := range list {
		out[f.ID] = f
	}
	return out, err
}

// stands notes one finding; the answer is nil when it stood before.
func (t *tx) stands(at time.Time, source string, f *exposure.Finding, standing map[string]FindingLife) (*FindingLife, error) {
	body, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	if _, ok := standing[f.ID]; ok {
		return nil, t.do("UPDATE finding SET seen = max(seen, ?), body = ? WHERE source = ? AND fid = ? AND resolved IS NULL", stamp(at), body, source, f.ID)
	}
	proto, port := placeOf(f.Endpoint)
	err = t.do("INSERT INTO finding(source, fid, rule, endpoint, proto, port, body, opened, seen, resolved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
		source, f.ID, f.Rule, f.Endpoint, proto, port, body, stamp(at), stamp(at))
	return &FindingLife{Finding: *f, Opened: at, Seen: at}, err
}

// placeOf reads proto/addr:port; 0 for a finding of no port.
func placeOf(endpoint string) (proto string, port int) {
	proto, rest, _ := strings.Cut(endpoint, "/")
	port, err := strconv.Atoi(rest[strings.LastIndexByte(rest, ':')+1:])
	if err != nil {
		port = 0
	}
	return proto, port
}

func (t *tx) resolve(at time.Time, gone map[string]FindingLife) ([]FindingLife, error) {
	var out []FindingLife
	for _, f := range gone {
		f.Resolved = at
		out = append(out, f)
		if err := t.do("UPDATE finding SET resolved = ? WHERE source = ? AND fid = ? AND resolved IS NULL", stamp(at), f.Source, f.ID); err != nil {
			return nil, err
		}
	}
	sortFindings(out)
	return out, nil
}

// Findings lists the findings of a source ("" all) that stood at any time
// since a moment, newest first, at most limit.
func (s *Store) Findings(ctx context.Context, source string, since time.Time, limit int) ([]FindingLife, error) {
	var out []FindingLife
	err := s.look(ctx, "read the findings of", func(t *tx) (err error) {
		out, err = t.findings("(?1 = '' OR source = ?1) AND (resolved IS NULL OR resolved >= ?2)", []any{source, stamp(since)}, limit)
		return err
	})
	return out, err
}

func (t *tx) findings(where string, args []any, limit int) ([]FindingLife, error) {
	var out []FindingLife
	err := t.each("SELECT source, body, opened, seen, coalesce(resolved, 0) FROM finding WHERE "+where+" ORDER BY opened DESC, id DESC LIMIT "+strconv.Itoa(limit), args,
		func(scan func(...any) error) error {
			var f FindingLife
			var body []byte
			var opened, seen, resolved int64
			if err := scan(&f.Source, &body, &opened, &seen, &resolved); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &f.Finding); err != nil {
				return fmt.Errorf("%w: a finding cannot be read: %v", ErrCorrupt, err)
			}
			f.Opened, f.Seen, f.Resolved = moment(opened), moment(seen), moment(resolved)
			out = append(out, f)
			return nil
		})
	return out, err
}
