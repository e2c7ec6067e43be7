package runtimes

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/cgroup"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// Runtimes that a control group path alone does not tell.
const (
	LXD   = "lxd"
	Incus = "incus"
)

// Config is where a Namer looks.
type Config struct {
	Files *rootfs.FS // the host's root
	Root  string     // its path, for the addresses of sockets
	// Home gives the home folder of a user by number, for rootless runtimes;
	// "" when it is not known.
	Home func(uid string) string
}

// Namer names containers and remembers them.
type Namer struct {
	cfg    Config
	mu     sync.Mutex
	named  map[string]exposure.Container
	stores map[string]map[string]string // containers.json file → ID → name
	docker map[string]map[string]string // socket → ID → name
}

// New makes a Namer; it reads nothing yet.
func New(cfg Config) *Namer {
	return &Namer{
		cfg:    cfg,
		named:  map[string]exposure.Container{},
		stores: map[string]map[string]string{},
		docker: map[string]map[string]string{},
	}
}

// Name completes a container of a control group path with its name and, where
// the path did not tell it, its runtime. It is nil for none.
func (n *Namer) Name(ctx context.Context, c cgroup.Container) *exposure.Container {
	if c.ID == "" {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	key := c.Runtime + "/" + c.User + "/" + c.ID
	named, ok := n.named[key]
	if !ok {
		named = n.find(ctx, c)
		n.named[key] = named
	}
	return &named
}

func (n *Namer) find(ctx context.Context, c cgroup.Container) exposure.Container {
	switch c.Runtime {
	case cgroup.LXC:
		return exposure.Container{ID: c.ID, Name: c.ID, Runtime: n.lxcManager(c.ID)}
	case cgroup.Nspawn:
		return exposure.Container{ID: c.ID, Name: c.ID, Runtime: c.Runtime}
	}
	if c.Runtime == cgroup.RuntimeUnknown {
		c.Runtime = n.runtime(c)
	}
	return exposure.Container{ID: c.ID, Name: n.name(ctx, c), Runtime: c.Runtime}
}

func (n *Namer) name(ctx context.Context, c cgroup.Container) string {
	switch c.Runtime {
	case cgroup.Docker:
		return n.dockerName(ctx, c)
	case cgroup.Podman:
		return n.storeName(c)
	case cgroup.Containerd:
		name, _ := n.taskName(c.ID)
		return name
	case cgroup.CRIO:
		if name := n.crioName(c.ID); name != "" {
			return name
		}
		return n.storeName(c)
	}
	return ""
}

// runtime asks every runtime's state whose container a bare ID is.
func (n *Namer) runtime(c cgroup.Container) string {
	if n.exists(dockerState, c.ID) {
		return cgroup.Docker
	}
	if _, namespace := n.taskName(c.ID); namespace != "" {
		if namespace == dockerNamespace {
			return cgroup.Docker
		}
		return cgroup.Containerd
	}
	switch n.manager(c.ID) {
	case "cri-o":
		return cgroup.CRIO
	case "libpod":
		return cgroup.Podman
	}
	return cgroup.RuntimeUnknown
}

func (n *Namer) exists(folder, name string) bool {
	_, err := n.cfg.Files.Stat(filepath.ToSlash(filepath.Join(folder, name)))
	return err == nil
}

// lxcFolders are where the managers above LXC keep their containers.
var lxcFolders = []struct{ folder, manager string }{
	{"/var/lib/incus/containers", Incus},
	{"/var/snap/lxd/common/lxd/containers", LXD},
	{"/var/lib/lxd/containers", LXD},
}

func (n *Namer) lxcManager(name string) string {
	for _, f := range lxcFolders {
		if n.exists(f.folder, name) {
			return f.manager
		}
	}
	return cgroup.LXC
}
