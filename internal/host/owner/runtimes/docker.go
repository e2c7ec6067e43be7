package runtimes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/host/owner/cgroup"
)

// dockerState is where dockerd keeps its containers unless told otherwise.
const dockerState = "/var/lib/docker/containers"

// TimeLimit bounds one question to a runtime's socket.
const TimeLimit = 500 * time.Millisecond

// maxDocker bounds the answer of dockerd in bytes.
const maxDocker = 32 << 20

func (n *Namer) dockerName(ctx context.Context, c cgroup.Container) string {
	for _, state := range n.dockerStates(c) {
		if name := n.dockerStateName(path.Join(state, c.ID, "config.v2.json")); name != "" {
			return name
		}
	}
	for _, socket := range dockerSockets(c) {
		if name := n.dockerList(ctx, socket)[c.ID]; name != "" {
			return name
		}
	}
	return ""
}

func (n *Namer) dockerStates(c cgroup.Container) []string {
	if c.User == "" {
		return []string{dockerState, "/var/snap/docker/common/var-lib-docker/containers"}
	}
	if n.cfg.Home == nil || n.cfg.Home(c.User) == "" {
		return nil
	}
	return []string{path.Join(n.cfg.Home(c.User), ".local/share/docker/containers")}
}

func dockerSockets(c cgroup.Container) []string {
	if c.User == "" {
		return []string{"/run/docker.sock"}
	}
	return []string{path.Join("/run/user", c.User, "docker.sock")}
}

func (n *Namer) dockerStateName(file string) string {
	text, err := n.cfg.Files.ReadFile(file, maxState)
	if err != nil {
		return ""
	}
	var state struct{ Name string }
	if json.Unmarshal(text, &state) != nil {
		return ""
	}
	return clean(strings.TrimPrefix(state.Name, "/"))
}

func (n *Namer) dockerList(ctx context.Context, socket string) map[string]string {
	names, ok := n.docker[socket]
	if ok {
		return names
	}
	if real, err := n.cfg.Files.Resolve(socket); err == nil {
		names, _ = askDocker(ctx, filepath.Join(n.cfg.Root, real)) // no answer, no names
	}
	n.docker[socket] = names
	return names
}

// askDocker lists all containers through the Engine API (GET
// /containers/json, which every version of it answers alike).
func askDocker(ctx context.Context, socket string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, TimeLimit)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/json?all=1", nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask dockerd at %s: %w", socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask dockerd at %s: %s", socket, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxDocker))
	if err != nil {
		return nil, fmt.Errorf("ask dockerd at %s: %w", socket, err)
	}
	return parseDocker(text)
}

// parseDocker reads the list of containers: names have a slash before them.
// Of the names of linked containers ("/web/db") the plain one counts.
func parseDocker(text []byte) (map[string]string, error) {
	var list []struct {
		ID    string   `json:"Id"`
		Names []string `json:"Names"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("dockerd's list of containers: %w", err)
	}
	names := make(map[string]string, len(list))
	for _, c := range list {
		for _, name := range c.Names {
			if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
				names[c.ID] = clean(name)
			}
		}
	}
	return names, nil
}
