package runtimes

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/cgroup"
)

// maxStore bounds the list of all containers of a store in bytes.
const maxStore = 64 << 20

// storeName finds a container's name in the lists of containers/storage
// (containers.json, volatile-containers.json in every driver's folder): the
// host's, or the user's for a rootless one.
func (n *Namer) storeName(c cgroup.Container) string {
	for _, folder := range n.storeFolders(c) {
		drivers, err := n.cfg.Files.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, driver := range drivers {
			if !strings.HasSuffix(driver, "-containers") {
				continue
			}
			for _, list := range []string{"containers.json", "volatile-containers.json"} {
				if name := n.store(path.Join(folder, driver, list))[c.ID]; name != "" {
					return name
				}
			}
		}
	}
	return ""
}

func (n *Namer) storeFolders(c cgroup.Container) []string {
	if c.User == "" {
		return []string{"/var/lib/containers/storage", "/run/containers/storage"}
	}
	folders := []string{path.Join("/run/user", c.User, "containers")}
	if n.cfg.Home != nil {
		if home := n.cfg.Home(c.User); home != "" {
			folders = append(folders, path.Join(home, ".local/share/containers/storage"))
		}
	}
	return folders
}

func (n *Namer) store(file string) map[string]string {
	names, ok := n.stores[file]
	if ok {
		return names
	}
	if text, err := n.cfg.Files.ReadFile(file, maxStore); err == nil {
		names = parseStore(text)
	}
	n.stores[file] = names
	return names
}

// parseStore reads a list of containers: the ID and the first name of each.
func parseStore(text []byte) map[string]string {
	var list []struct {
		ID    string   `json:"id"`
		Names []string `json:"names"`
	}
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	names := make(map[string]string, len(list))
	for _, c := range list {
		if len(c.Names) > 0 {
			names[c.ID] = clean(c.Names[0])
		}
	}
	return names
}
