package cgroup

import "strings"

// Place is where a process runs.
type Place struct {
	// Path is the path that was read.
	Path string
	Unit Unit
	// Container is zero for a process of the host itself.
	Container Container
}

// Parse reads the text of a /proc/PID/cgroup file (cgroups(7)).
func Parse(text string) Place {
	unified, systemd, controllers := hierarchies(text)
	place := Place{Path: best(unified, systemd, controllers)}
	for _, path := range append([]string{unified, systemd}, controllers...) {
		if c := containerOf(elements(path)); c.ID != "" {
			place.Container, place.Path = c, path
			break
		}
	}
	for _, path := range []string{unified, systemd} {
		if place.Unit.Name == "" {
			place.Unit = unitOf(elements(path))
		}
	}
	place.Unit.Inner = innerUnit(place.Container.within)
	return place
}

// hierarchies sorts the lines "id:controllers:path". The path may hold colons.
func hierarchies(text string) (unified, systemd string, controllers []string) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		path := strings.TrimSuffix(fields[2], " (deleted)")
		switch {
		case fields[1] == "" && fields[0] == "0":
			unified = path
		case fields[1] == "name=systemd":
			systemd = path
		default:
			controllers = append(controllers, path)
		}
	}
	return unified, systemd, controllers
}

// best is the path to show: the longest-standing order of who knows.
func best(unified, systemd string, controllers []string) string {
	for _, path := range append([]string{unified, systemd}, controllers...) {
		if path != "" && path != "/" {
			return path
		}
	}
	return "/"
}

func elements(path string) []string {
	var list []string
	for element := range strings.SplitSeq(path, "/") {
		if element != "" && element != ".." && element != "." {
			list = append(list, element)
		}
	}
	return list
}
