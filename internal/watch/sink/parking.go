package sink

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// parking is a file of JSON Lines with what a receiver refused for good:
// {id, at, why, body}. It is bounded: what is more is refused.
type parking struct {
	path string
	most int64
}

func newParking(path string, most int64) *parking { return &parking{path, most} }

type parkedNotice struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	Why  string    `json:"why"`
	Body any       `json:"body"`
}

func (p *parking) put(r *record, at time.Time, why error) error {
	doc := parkedNotice{ID: r.ID, At: at.UTC(), Why: why.Error(), Body: string(r.Body)}
	if json.Valid(r.Body) {
		doc.Body = json.RawMessage(r.Body)
	}
	line, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("park notice %s: %w", r.ID, err)
	}
	f, err := os.OpenFile(p.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("park notice %s: %w", r.ID, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size()+int64(len(line)) > p.most {
		return fmt.Errorf("park notice %s: %s is as large as it may be (%d bytes); remove it when you have read it", r.ID, p.path, p.most)
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("park notice %s: %w", r.ID, err)
	}
	return nil
}
