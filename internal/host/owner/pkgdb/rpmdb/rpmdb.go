package rpmdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
)

// Owners calls found with every file that some package owns and wanted
// accepts by its last name. Size is the database's in bytes.
func Owners(ctx context.Context, r io.ReaderAt, size int64, wanted func(base string) bool, found func(file, pkg string)) error {
	f, err := openFile(r, size)
	if err != nil {
		return err
	}
	basenames, packages, err := f.roots()
	if err != nil {
		return err
	}
	hits := map[int64][]int64{} // package → places in its list of files
	err = f.scan(basenames, func(_ int64, payload []byte) error {
		row, err := columns(payload)
		if err != nil || len(row) < 3 {
			return errors.Join(errFormat, err)
		}
		if wanted(string(row[0].bytes)) {
			hits[row[1].number] = append(hits[row[1].number], row[2].number)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for id, places := range hits {
		if err := f.owned(packages, id, places, found); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// roots finds the first pages of the two tables in the schema table.
func (f *file) roots() (basenames, packages uint32, err error) {
	err = f.scan(1, func(_ int64, payload []byte) error {
		row, err := columns(payload)
		if err != nil || len(row) < 4 {
			return errors.Join(errFormat, err)
		}
		if string(row[0].bytes) != "table" {
			return nil
		}
		switch string(row[1].bytes) {
		case "Basenames":
			basenames = uint32(row[3].number)
		case "Packages":
			packages = uint32(row[3].number)
		}
		return nil
	})
	if err == nil && (basenames == 0 || packages == 0) {
		err = fmt.Errorf("%w: tables Basenames and Packages are not there", errFormat)
	}
	return basenames, packages, err
}

func (f *file) owned(packages uint32, id int64, places []int64, found func(file, pkg string)) error {
	payload, err := f.find(packages, id)
	if err != nil || payload == nil { // listed, and erased since
		return err
	}
	row, err := columns(payload)
	if err != nil || len(row) < 2 {
		return errors.Join(errFormat, err)
	}
	h, err := parseHeader(row[1].bytes)
	if err != nil {
		return err
	}
	for _, place := range places {
		if file, ok := h.file(place); ok {
			found(file, h.name)
		}
	}
	return nil
}

// Tags of a package's header (rpmtag.h).
const (
	tagName       = 1000
	tagDirIndexes = 1116
	tagBasenames  = 1117
	tagDirNames   = 1118
)

// header is what counts of a package's header.
type header struct {
	name       string
	base, dirs [][]byte // text, one NUL-ended string after the other
	dirIndexes []byte   // four bytes each
}

// parseHeader reads a header as the database keeps it: the number of entries,
// the length of the data, the entries of 16 bytes (tag, type, offset, count),
// the data; all numbers big-endian.
func parseHeader(b []byte) (header, error) {
	if len(b) < 8 {
		return header{}, fmt.Errorf("%w: package header", errFormat)
	}
	entries, size := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	if 8+16*entries+size > uint64(len(b)) {
		return header{}, fmt.Errorf("%w: package header cut short", errFormat)
	}
	data := b[8+16*entries:][:size]
	var h header
	for i := range entries {
		e := b[8+16*i:]
		tag, offset, count := binary.BigEndian.Uint32(e), uint64(binary.BigEndian.Uint32(e[8:])), uint64(binary.BigEndian.Uint32(e[12:]))
		if offset > size {
			return header{}, fmt.Errorf("%w: package header", errFormat)
		}
		h.take(tag, data[offset:], count)
	}
	return h, nil
}

func (h *header) take(tag uint32, data []byte, count uint64) {
	switch tag {
	case tagName:
		if list := texts(data, 1); len(list) == 1 {
			h.name = string(list[0])
		}
	case tagBasenames:
		h.base = texts(data, count)
	case tagDirNames:
		h.dirs = texts(data, count)
	case tagDirIndexes:
		h.dirIndexes = data[:min(uint64(len(data)), 4*count)]
	}
}

// maxFiles bounds the files of one package.
const maxFiles = 1 << 20

// texts splits NUL-ended strings.
func texts(data []byte, count uint64) [][]byte {
	var list [][]byte
	for from, i := 0, 0; i < len(data) && uint64(len(list)) < min(count, maxFiles); i++ {
		if data[i] == 0 {
			list = append(list, data[from:i])
			from = i + 1
		}
	}
	return list
}

// file gives the path at a place of the list of files.
func (h *header) file(place int64) (string, bool) {
	if place < 0 || place >= int64(len(h.base)) || 4*place+4 > int64(len(h.dirIndexes)) {
		return "", false
	}
	dir := binary.BigEndian.Uint32(h.dirIndexes[4*place:])
	if uint64(dir) >= uint64(len(h.dirs)) || h.name == "" {
		return "", false
	}
	return path.Join(string(h.dirs[dir]), string(h.base[place])), true
}
