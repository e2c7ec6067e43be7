package archtest

import (
	"path"
	"slices"
	"strings"
)

// Rooms outside the layers. Nothing but tests and their own programs imports
// them.
const (
	roomArchtest = "archtest"
	roomNettest  = "nettest"
	roomWorkshop = "workshop"
	roomBench    = "bench"
)

// layers lists the rooms of each level, lowest first.
func layers() [][]string {
	return [][]string{
		{"exposure"},
		views(),
		{"audit"},
		{"report", "tui", "history", "remedy", "privilege"},
		{"watch"},
		{"cli"},
		{"cmd"},
	}
}

// views are the five witnesses. None knows of another.
func views() []string {
	return []string{"host", "scan", "traffic", "firewall", "knowledge"}
}

// codecs are the leaf folders that speak the kernel's or the wire's shapes.
func codecs() []string {
	return []string{
		"internal/host/sockdiag",
		"internal/host/procfs",
		"internal/traffic/wire",
		"internal/traffic/capture",
		"internal/traffic/filter",
		"internal/firewall/fwlog",
	}
}

// roomOf names the room of a folder: internal/host/owner is in host,
// cmd/portreeve in cmd. The folder internal itself has none.
func roomOf(dir string) string {
	first, rest, _ := strings.Cut(dir, "/")
	if first != "internal" {
		return first
	}
	room, _, _ := strings.Cut(rest, "/")
	return room
}

// layerOf gives a room's level, or -1 for a room that has none.
func layerOf(room string) int {
	return slices.IndexFunc(layers(), func(rooms []string) bool { return slices.Contains(rooms, room) })
}

func cliLayer() int { return layerOf("cli") }

func isView(room string) bool { return slices.Contains(views(), room) }

// isCodec reports a folder that is a leaf codec or lies below one.
func isCodec(dir string) bool {
	return slices.ContainsFunc(codecs(), func(codec string) bool {
		return dir == codec || strings.HasPrefix(dir, codec+"/")
	})
}

// isWorkshop reports the rooms that stand outside the layers.
func isWorkshop(room string) bool {
	return slices.Contains([]string{roomArchtest, roomNettest, roomWorkshop, roomBench}, room)
}

// isTestHelper reports packages that exist for tests: nettest, archtest, and
// whatever is named like hosttest.
func isTestHelper(dir string) bool {
	return isWorkshop(roomOf(dir)) || strings.HasSuffix(path.Base(dir), "test")
}

// isLibrary reports code that must leave flags, output and the clock of a run
// to cli: everything below it that is no program and no test.
func (f *file) isLibrary() bool {
	layer := layerOf(f.room)
	return layer >= 0 && layer < cliLayer() && !f.test && !f.isProgram() && !isTestHelper(f.dir)
}
