package history

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/portreeve/portreeve/internal/exposure"
)

// keepSocket keeps a row once and gives its number and hash.
func (t *tx) keepSocket(s *exposure.Socket) (int64, [sha256.Size]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return 0, [sha256.Size]byte{}, err
	}
	hash := sha256.Sum256(body)
	var id int64
	err = t.one("SELECT id FROM socket WHERE hash = ?", []any{hash[:]}, &id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, hash, err
	}
	res, err := t.run("INSERT INTO socket(hash, body) VALUES (?, ?)", hash[:], body)
	if err != nil {
		return 0, hash, err
	}
	id, err = res.LastInsertId()
	return id, hash, err
}

// maybeSocket keeps a row that may be nil.
func (t *tx) maybeSocket(s *exposure.Socket) (sql.NullInt64, error) {
	if s == nil {
		return sql.NullInt64{}, nil
	}
	id, _, err := t.keepSocket(s)
	return sql.NullInt64{Int64: id, Valid: true}, err
}

// readSocket makes a row of what was kept, and finds out whether it is still
// what was written.
func readSocket(hash, body []byte) (*exposure.Socket, error) {
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], hash) {
		return nil, fmt.Errorf("%w: a listener's row is not what was written", ErrCorrupt)
	}
	s := new(exposure.Socket)
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%w: a listener's row cannot be read: %v", ErrCorrupt, err)
	}
	return s, nil
}

// endpointArgs are the columns proto, addr, port, netns, device.
func endpointArgs(e exposure.Endpoint) []any {
	return []any{string(e.Proto), e.Addr.String(), int64(e.Port), e.NetNS, e.Device}
}

// endpoint is the way back.
func endpoint(proto, addr string, port int64, netns, device string) exposure.Endpoint {
	return exposure.Endpoint{Proto: exposure.Proto(proto), Addr: exposure.ParseAddress(addr), Port: uint16(port), NetNS: netns, Device: device}
}
