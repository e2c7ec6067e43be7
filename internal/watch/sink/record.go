package sink

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// record is one notice as a spool keeps it. Body is ready to be sent.
type record struct {
	ID   string
	Body []byte

	seg uint64 // where it stands
	end int64  // the offset behind it
}

// On disk a record is: magic (4 bytes), length of the payload (4, big endian),
// CRC-32C of those eight bytes and the payload (4), payload. The payload is
// the ID's length (2), the ID, the body.
const (
	recordMagic  = "PRn1"
	recordHead   = 12
	maxRecord    = 4 << 20
	maxRecordID  = 1 << 10
	payloadFixed = 2
)

func checksum(head, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(head[:8], table), table, payload)
}

func appendRecord(dst []byte, id string, body []byte) ([]byte, error) {
	n := payloadFixed + len(id) + len(body)
	if len(id) > maxRecordID || n > maxRecord {
		return dst, permanentf("a notice of %d bytes is larger than %d", n, maxRecord)
	}
	at := len(dst)
	dst = append(dst, recordMagic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(id)))
	dst = append(append(dst, id...), body...)
	binary.BigEndian.PutUint32(dst[at+8:], checksum(dst[at:], dst[at+recordHead:]))
	return dst, nil
}

// parseRecord reads the record at the beginning of b and how long it is; false
// where there is no whole and sound one.
func parseRecord(b []byte) (r record, size int, ok bool) {
	if len(b) < recordHead || string(b[:4]) != recordMagic {
		return r, 0, false
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > maxRecord || int(n) < payloadFixed || len(b)-recordHead < int(n) {
		return r, 0, false
	}
	payload := b[recordHead : recordHead+int(n)]
	if checksum(b, payload) != binary.BigEndian.Uint32(b[8:]) {
		return r, 0, false
	}
	idLen := int(binary.BigEndian.Uint16(payload))
	if idLen > maxRecordID || payloadFixed+idLen > len(payload) {
		return r, 0, false
	}
	r.ID = string(payload[payloadFixed : payloadFixed+idLen])
	r.Body = bytes.Clone(payload[payloadFixed+idLen:])
	return r, recordHead + int(n), true
}

// scan reads all sound records of a segment and goes on behind damage. good is
// the offset behind the last one, damaged how many bytes before it are no
// records.
func scan(b []byte, visit func(r record, end int64)) (good, damaged int64) {
	at, bad := 0, 0
	for at < len(b) {
		r, size, ok := parseRecord(b[at:])
		if ok {
			at += size
			good, damaged = int64(at), damaged+int64(bad)
			bad = 0
			visit(r, good)
			continue
		}
		next := bytes.Index(b[at+1:], []byte(recordMagic))
		if next < 0 {
			break
		}
		bad += 1 + next
		at += 1 + next
	}
	return good, damaged
}
