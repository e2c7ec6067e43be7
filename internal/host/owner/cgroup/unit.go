package cgroup

import "strings"

// Unit is the systemd unit that a process runs in.
type Unit struct {
	// Name is the unit, as "ssh.service"; "" where systemd runs none.
	Name string
	// User is the number of the user whose own service manager runs the
	// unit, as text; "" for a unit of the system.
	User string
	// Inner is the unit within the container's own systemd.
	Inner string
}

// unitTypes are the kinds of unit that hold processes (systemd.unit(5)).
var unitTypes = map[string]bool{
	"service": true, "scope": true, "socket": true, "mount": true, "swap": true,
}

// unitOf follows cg_path_get_unit of systemd's src/basic/cgroup-util.c: slices
// are skipped, and the next element is the unit; what is below it the unit
// was given to arrange as it likes. Below a user's manager the same goes again.
func unitOf(path []string) Unit {
	name, rest := firstUnit(path)
	uid, ok := strings.CutPrefix(name, "user@")
	if !ok || !strings.HasSuffix(uid, ".service") {
		return Unit{Name: name}
	}
	inner, _ := firstUnit(rest)
	if inner == "" || inner == "init.scope" { // the manager itself
		return Unit{Name: name}
	}
	return Unit{Name: inner, User: strings.TrimSuffix(uid, ".service")}
}

// innerUnit looks below a container's element, where some runtimes put one
// more group around the inside.
func innerUnit(within []string) string {
	if len(within) > 0 && (within[0] == "container" || within[0] == "payload") {
		within = within[1:]
	}
	name, _ := firstUnit(within)
	if name == "init.scope" {
		return ""
	}
	return name
}

func firstUnit(path []string) (name string, rest []string) {
	for i, element := range path {
		element = unescape(element)
		if strings.HasSuffix(element, ".slice") && isUnitName(element) {
			continue
		}
		if isUnitName(element) {
			return element, path[i+1:]
		}
		return "", nil
	}
	return "", nil
}

// unescape removes the underscore that systemd puts before names that would
// look like a file of the cgroup file system (cg_escape).
func unescape(element string) string { return strings.TrimPrefix(element, "_") }

// isUnitName checks a name as systemd.unit(5) has it: letters, digits and
// ":-_.\@", a known ending.
func isUnitName(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || len(name) > 255 {
		return false
	}
	if kind := name[dot+1:]; !unitTypes[kind] && kind != "slice" {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(`:-_.\@`, r)
	}) < 0
}
