package runtimes

import (
	"encoding/json"
	"path"
	"strings"
)

// maxState bounds one container's state file in bytes.
const maxState = 8 << 20

// taskFolders are where containerd keeps its running tasks, as
// FOLDER/NAMESPACE/ID/config.json: itself, within k3s, RKE2 and MicroK8s.
var taskFolders = []string{
	"/run/containerd/io.containerd.runtime.v2.task",
	"/run/containerd/io.containerd.runtime.v1.linux",
	"/run/k3s/containerd/io.containerd.runtime.v2.task",
	"/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
}

// dockerNamespace is containerd's namespace for containers of dockerd.
const dockerNamespace = "moby"

// userdataFolders are where CRI-O and Podman keep a container's runtime
// configuration, as FOLDER/ID/userdata/config.json.
var userdataFolders = []string{
	"/run/containers/storage/overlay-containers",
	"/var/lib/containers/storage/overlay-containers",
	"/var/lib/containers/storage/vfs-containers",
	"/var/lib/containers/storage/btrfs-containers",
}

// annotations reads the annotations of an OCI runtime configuration
// (opencontainers/runtime-spec, config.md).
func (n *Namer) annotations(file string) map[string]string {
	text, err := n.cfg.Files.ReadFile(file, maxState)
	if err != nil {
		return nil
	}
	return parseAnnotations(text)
}

func parseAnnotations(text []byte) map[string]string {
	var config struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(text, &config) != nil {
		return nil
	}
	return config.Annotations
}

// taskName finds a container among containerd's tasks. The namespace is ""
// when it is none of them.
func (n *Namer) taskName(id string) (name, namespace string) {
	for _, folder := range taskFolders {
		namespaces, err := n.cfg.Files.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, ns := range namespaces {
			if n.exists(path.Join(folder, ns), id) {
				return containerdName(n.annotations(path.Join(folder, ns, id, "config.json"))), ns
			}
		}
	}
	return "", ""
}

// containerdName reads the annotations of containerd's CRI plugin
// (pkg/cri/annotations) and of nerdctl.
func containerdName(a map[string]string) string {
	if name := a["nerdctl/name"]; name != "" {
		return clean(name)
	}
	return podName(a["io.kubernetes.cri.sandbox-namespace"], a["io.kubernetes.cri.sandbox-name"], a["io.kubernetes.cri.container-name"])
}

func podName(namespace, pod, container string) string {
	if namespace == "" || pod == "" {
		return clean(container)
	}
	return clean(strings.TrimSuffix(namespace+"/"+pod+"/"+container, "/"))
}

func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (n *Namer) userdata(id string) map[string]string {
	for _, folder := range userdataFolders {
		if a := n.annotations(path.Join(folder, id, "userdata/config.json")); a != nil {
			return a
		}
	}
	return nil
}

// manager is who made a container of containers/storage: "cri-o" or "libpod".
func (n *Namer) manager(id string) string { return n.userdata(id)["io.container.manager"] }

// crioName reads the annotations that the kubelet and CRI-O give
// (cri-o/pkg/annotations).
func (n *Namer) crioName(id string) string {
	a := n.userdata(id)
	container := a["io.kubernetes.container.name"]
	if container == "POD" || a["io.kubernetes.cri-o.ContainerType"] == "sandbox" {
		container = ""
	}
	return podName(a["io.kubernetes.pod.namespace"], a["io.kubernetes.pod.name"], container)
}
