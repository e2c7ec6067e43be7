package runtimes

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/cgroup"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

const (
	idA = "3f4c8b1e0a7d5c2f9b6e4a1d8c7f0e3b2a5d6c9f8e1b4a7d0c3f6e9b2a5d8c1f"
	idB = "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffff0000000011111111"
)

// namer makes a Namer on a root with these files.
func namer(t *testing.T, files map[string]string) (*Namer, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt") // short: a socket's address has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	home := func(uid string) string {
		if uid == "1000" {
			return "/home/ann"
		}
		return ""
	}
	return New(Config{Files: root, Root: dir, Home: home}), dir
}

func TestNamesByStateFiles(t *testing.T) {
	const task = "run/containerd/io.containerd.runtime.v2.task/"
	n, _ := namer(t, map[string]string{
		"var/lib/docker/containers/" + idA + "/config.v2.json":                       `{"Name":"/web","State":{}}`,
		"home/ann/.local/share/docker/containers/" + idB + "/config.v2.json":         `{"Name":"/own"}`,
		"var/lib/containers/storage/overlay-containers/containers.json":              `[{"id":"` + idA + `","names":["db","other"]},{"id":"x"}]`,
		"run/containers/storage/overlay-containers/volatile-containers.json":         `[{"id":"` + idB + `","names":["brief"]}]`,
		"home/ann/.local/share/containers/storage/vfs-containers/containers.json":    `[{"id":"` + idA + `","names":["rootless"]}]`,
		task + "k8s.io/" + idA + "/config.json":                                      `{"annotations":{"io.kubernetes.cri.sandbox-namespace":"kube-system","io.kubernetes.cri.sandbox-name":"dns-1","io.kubernetes.cri.container-name":"dns"}}`,
		task + "k8s.io/" + idB + "/config.json":                                      `{"annotations":{"io.kubernetes.cri.sandbox-namespace":"kube-system","io.kubernetes.cri.sandbox-name":"dns-1"}}`,
		task + "default/n1/config.json":                                              `{"annotations":{"nerdctl/name":"cache"}}`,
		task + "default/n2/config.json":                                              `{broken`,
		"run/containers/storage/overlay-containers/" + idA + "/userdata/config.json": `{"annotations":{"io.container.manager":"cri-o","io.kubernetes.pod.namespace":"ns","io.kubernetes.pod.name":"pod","io.kubernetes.container.name":"app"}}`,
		"run/containers/storage/overlay-containers/" + idB + "/userdata/config.json": `{"annotations":{"io.container.manager":"cri-o","io.kubernetes.pod.namespace":"ns","io.kubernetes.pod.name":"pod","io.kubernetes.container.name":"POD"}}`,
		"var/lib/incus/containers/box/x":                                             "",
		"var/snap/lxd/common/lxd/containers/proj_box/x":                              "",
	})
	for _, c := range []struct {
		ask  cgroup.Container
		want exposure.Container
	}{
		{cgroup.Container{ID: idA, Runtime: "docker"}, exposure.Container{ID: idA, Name: "web", Runtime: "docker"}},
		{cgroup.Container{ID: idB, Runtime: "docker", User: "1000"}, exposure.Container{ID: idB, Name: "own", Runtime: "docker"}},
		{cgroup.Container{ID: idB, Runtime: "docker", User: "1001"}, exposure.Container{ID: idB, Runtime: "docker"}},
		{cgroup.Container{ID: idA, Runtime: "podman"}, exposure.Container{ID: idA, Name: "db", Runtime: "podman"}},
		{cgroup.Container{ID: idB, Runtime: "podman"}, exposure.Container{ID: idB, Name: "brief", Runtime: "podman"}},
		{cgroup.Container{ID: idA, Runtime: "podman", User: "1000"}, exposure.Container{ID: idA, Name: "rootless", Runtime: "podman"}},
		{cgroup.Container{ID: idA, Runtime: "containerd"}, exposure.Container{ID: idA, Name: "kube-system/dns-1/dns", Runtime: "containerd"}},
		{cgroup.Container{ID: idB, Runtime: "containerd"}, exposure.Container{ID: idB, Name: "kube-system/dns-1", Runtime: "containerd"}},
		{cgroup.Container{ID: "n1", Runtime: "containerd"}, exposure.Container{ID: "n1", Name: "cache", Runtime: "containerd"}},
		{cgroup.Container{ID: "n2", Runtime: "containerd"}, exposure.Container{ID: "n2", Runtime: "containerd"}},
		{cgroup.Container{ID: idA, Runtime: "cri-o"}, exposure.Container{ID: idA, Name: "ns/pod/app", Runtime: "cri-o"}},
		{cgroup.Container{ID: idB, Runtime: "cri-o"}, exposure.Container{ID: idB, Name: "ns/pod", Runtime: "cri-o"}},
		{cgroup.Container{ID: "box", Runtime: "lxc"}, exposure.Container{ID: "box", Name: "box", Runtime: "incus"}},
		{cgroup.Container{ID: "proj_box", Runtime: "lxc"}, exposure.Container{ID: "proj_box", Name: "proj_box", Runtime: "lxd"}},
		{cgroup.Container{ID: "plain", Runtime: "lxc"}, exposure.Container{ID: "plain", Name: "plain", Runtime: "lxc"}},
		{cgroup.Container{ID: "m", Runtime: "systemd-nspawn"}, exposure.Container{ID: "m", Name: "m", Runtime: "systemd-nspawn"}},
		{cgroup.Container{ID: strings.Repeat("0", 64)}, exposure.Container{ID: strings.Repeat("0", 64)}},
	} {
		if diff := cmp.Diff(&c.want, n.Name(t.Context(), c.ask)); diff != "" {
			t.Errorf("%+v:\n%s", c.ask, diff)
		}
	}
	if got := n.Name(t.Context(), cgroup.Container{}); got != nil {
		t.Errorf("no container, and %+v", got)
	}
}

// A bare ID is told by whose state it is in.
func TestRuntimeOfABareID(t *testing.T) {
	for want, file := range map[string]string{
		"docker":     "var/lib/docker/containers/" + idA + "/config.v2.json",
		"containerd": "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" + idA + "/config.json",
		"cri-o":      "var/lib/containers/storage/overlay-containers/" + idA + "/userdata/config.json",
		"":           "var/lib/other",
	} {
		n, _ := namer(t, map[string]string{file: `{"Name":"/web","annotations":{"io.container.manager":"cri-o"}}`})
		if got := n.Name(t.Context(), cgroup.Container{ID: idA}); got.Runtime != want {
			t.Errorf("%s: %+v", file, got)
		}
	}
	n, _ := namer(t, map[string]string{"run/containerd/io.containerd.runtime.v2.task/moby/" + idA + "/config.json": "{}"})
	if got := n.Name(t.Context(), cgroup.Container{ID: idA}); got.Runtime != "docker" {
		t.Errorf("moby: %+v", got)
	}
}

// serve is a dockerd of one answer.
func serve(t *testing.T, dir string, answer http.HandlerFunc) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "run/docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answer}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestDockerSocket(t *testing.T) {
	n, dir := namer(t, nil)
	asked := 0
	serve(t, dir, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/containers/json" || r.URL.Query().Get("all") != "1" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(`[{"Id":"` + idA + `","Names":["/other/link","/web"]},{"Id":"` + idB + `","Names":null}]`))
	})
	for id, want := range map[string]string{idA: "web", idB: ""} {
		if got := n.Name(t.Context(), cgroup.Container{ID: id, Runtime: "docker"}); got.Name != want || got.Runtime != "docker" {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// A daemon that refuses, lies or hangs leaves the name empty, and soon.
func TestDockerSocketMisbehaves(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, answer := range map[string]http.HandlerFunc{
		"refuses": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"message":1`)) },
		"hangs":   func(http.ResponseWriter, *http.Request) { <-hang },
	} {
		n, dir := namer(t, nil)
		serve(t, dir, answer)
		begun := time.Now()
		if got := n.Name(t.Context(), cgroup.Container{ID: idA, Runtime: "docker"}); got.Name != "" || got.ID != idA {
			t.Errorf("%s: %+v", name, got)
		}
		if took := time.Since(begun); took > 20*TimeLimit {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func FuzzDocker(f *testing.F) {
	f.Add([]byte(`[{"Id":"a","Names":["/web","/x/y"]}]`))
	f.Add([]byte(`[{"Id":"a","Names":["/\ud800\u001b[31m"]}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		names, _ := parseDocker(text)
		for _, name := range names {
			if strings.ToValidUTF8(name, "") != name || strings.Contains(name, "/") {
				t.Errorf("%q", name)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`[{"id":"a","names":["b"]}]`))
	f.Add([]byte(`{"annotations":{"io.kubernetes.cri.sandbox-name":"x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		parseStore(text)
		containerdName(parseAnnotations(text))
	})
}
