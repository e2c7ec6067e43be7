package cgroup

import (
	"regexp"
	"strings"
	"sync"
)

// Runtimes, as exposure.Container writes them. RuntimeUnknown is a container
// whose path does not tell its runtime.
const (
	Docker         = "docker"
	Podman         = "podman"
	Containerd     = "containerd"
	CRIO           = "cri-o"
	LXC            = "lxc" // of LXC, LXD or Incus
	Nspawn         = "systemd-nspawn"
	RuntimeUnknown = ""
)

// Container is the innermost container in a path.
type Container struct {
	ID      string // 64 hexadecimal digits, or a name for LXC and nspawn
	Runtime string
	// Pod is the uid of the Kubernetes pod; "" outside of Kubernetes.
	Pod string
	// User is the number of the user who runs it, as text, for a rootless
	// container below a user's slice.
	User string

	within []string // the path below the container's own element
}

// form is one way in which a runtime names the element of a container. The
// first group of the pattern is the ID.
type form struct {
	pattern func() *regexp.Regexp
	runtime string
}

const id64 = `([0-9a-f]{64})`

// forms are tried in this order. Monitors (conmon, lxc.monitor) run beside a
// container and not in it: their names match none.
var forms = []form{
	{lazy(`^docker-` + id64 + `\.scope$`), Docker},                   // dockerd, systemd driver
	{lazy(`^libpod-(?:payload-)?` + id64 + `(?:\.scope)?$`), Podman}, // podman, either driver
	{lazy(`^crio-` + id64 + `(?:\.scope)?$`), CRIO},                  // CRI-O, either driver
	{lazy(`^cri-containerd-` + id64 + `\.scope$`), Containerd},       // containerd's CRI, systemd driver
	{lazy(`^[^:]*:cri-containerd:` + id64 + `$`), Containerd},        // the same, cgroupfs driver given a systemd name
	{lazy(`^nerdctl-` + id64 + `(?:\.scope)?$`), Containerd},         // nerdctl, systemd driver
	{lazy(`^lxc\.payload\.(.+)$`), LXC},                              // LXC 4 and later, LXD, Incus
	{lazy(`^systemd-nspawn@(.+)\.service$`), Nspawn},                 // machinectl start
	{lazy(`^` + id64 + `$`), RuntimeUnknown},                         // any cgroupfs driver
}

// lazy compiles a pattern when it is first asked for.
func lazy(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// containerOf finds the innermost container of a path.
func containerOf(path []string) Container {
	var found Container
	for i, element := range path {
		c, ok := match(path, i, element)
		if !ok {
			continue
		}
		c.within = path[i+1:]
		c.Pod, c.User = podOf(path[:i]), found.User
		if c.User == "" {
			c.User = userOf(path[:i])
		}
		found = c
	}
	return found
}

func match(path []string, i int, element string) (Container, bool) {
	if i > 0 && (path[i-1] == "lxc" || path[i-1] == "lxc.payload") { // LXC before 4
		return Container{ID: element, Runtime: LXC}, true
	}
	for _, f := range forms {
		m := f.pattern().FindStringSubmatch(element)
		if m == nil {
			continue
		}
		c := Container{ID: m[1], Runtime: f.runtime}
		switch c.Runtime {
		case RuntimeUnknown:
			c.Runtime = byParent(path[:i])
		case Nspawn:
			// Its "supervisor" group is systemd-nspawn itself.
			if i+1 >= len(path) || path[i+1] != "payload" {
				return Container{}, false
			}
			c.ID = decodeName(c.ID)
		}
		return c, true
	}
	return machine(path, i, element)
}

// machine is a scope of systemd-machined. Its payload group shows that it is
// a container of systemd-nspawn and no virtual machine.
func machine(path []string, i int, element string) (Container, bool) {
	name, ok := strings.CutPrefix(element, "machine-")
	name, scope := strings.CutSuffix(name, ".scope")
	if !ok || !scope || i+1 >= len(path) || path[i+1] != "payload" {
		return Container{}, false
	}
	return Container{ID: decodeName(name), Runtime: Nspawn}, true
}

// byParent tells the runtime of a bare ID from the folder that the cgroupfs
// driver puts it in.
func byParent(path []string) string {
	if len(path) == 0 {
		return RuntimeUnknown
	}
	switch path[len(path)-1] {
	case "docker":
		return Docker
	case "libpod_parent":
		return Podman
	}
	return RuntimeUnknown
}

var podElement = lazy(`(?:^|-)pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)

func podOf(path []string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if m := podElement().FindStringSubmatch(path[i]); m != nil {
			return strings.ReplaceAll(m[1], "_", "-")
		}
	}
	return ""
}

func userOf(path []string) string {
	for _, element := range path {
		if uid, ok := strings.CutPrefix(element, "user@"); ok {
			return strings.TrimSuffix(uid, ".service")
		}
	}
	return ""
}

// decodeName undoes systemd-escape(1): "\x2d" is a dash, "-" a slash, which a
// machine's name cannot have.
func decodeName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if c, ok := escaped(name[i:]); ok {
			b.WriteByte(c)
			i += 3
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func escaped(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] != 'x' {
		return 0, false
	}
	hi, lo := strings.IndexByte(hexDigits, s[2]), strings.IndexByte(hexDigits, s[3])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

const hexDigits = "0123456789abcdef"
