package cgroup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	idA = "3f4c8b1e0a7d5c2f9b6e4a1d8c7f0e3b2a5d6c9f8e1b4a7d0c3f6e9b2a5d8c1f"
	idB = "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffff0000000011111111"
	pod = "12345678-90ab-cdef-1234-567890abcdef"
)

func TestParse(t *testing.T) {
	docker := func(id string) Container { return Container{ID: id, Runtime: Docker} }
	for name, c := range map[string]struct {
		text      string
		unit      Unit
		container Container
	}{
		"empty":                {"", Unit{}, Container{}},
		"no systemd (OpenRC)":  {"0::/openrc.sshd\n", Unit{}, Container{}},
		"root group":           {"9:name=systemd:/\n1:cpu:/\n0::/\n", Unit{}, Container{}},
		"v2 service":           {"0::/system.slice/ssh.service\n", Unit{Name: "ssh.service"}, Container{}},
		"v1 service":           {"12:pids:/system.slice/ssh.service\n1:name=systemd:/system.slice/ssh.service\n", Unit{Name: "ssh.service"}, Container{}},
		"hybrid":               {"4:memory:/x\n1:name=systemd:/system.slice/nginx.service\n0::/system.slice/nginx.service\n", Unit{Name: "nginx.service"}, Container{}},
		"template in a slice":  {"0::/system.slice/system-getty.slice/getty@tty1.service\n", Unit{Name: "getty@tty1.service"}, Container{}},
		"escaped name":         {"0::/system.slice/dev-disk\\x2dby.swap\n", Unit{Name: `dev-disk\x2dby.swap`}, Container{}},
		"underscored":          {"0::/system.slice/_cpu.service\n", Unit{Name: "cpu.service"}, Container{}},
		"delegated":            {"0::/system.slice/docker.service/sub/group\n", Unit{Name: "docker.service"}, Container{}},
		"session":              {"0::/user.slice/user-1000.slice/session-3.scope\n", Unit{Name: "session-3.scope"}, Container{}},
		"user service":         {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n", Unit{Name: "foo.service", User: "1000"}, Container{}},
		"user template":        {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.slice/app-foo@bar.service\n", Unit{Name: "app-foo@bar.service", User: "1000"}, Container{}},
		"user manager":         {"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", Unit{Name: "user@1000.service"}, Container{}},
		"systemd itself":       {"0::/init.scope\n", Unit{Name: "init.scope"}, Container{}},
		"ended group":          {"0::/system.slice/old.service (deleted)\n", Unit{Name: "old.service"}, Container{}},
		"docker v2":            {"0::/system.slice/docker-" + idA + ".scope\n", Unit{Name: "docker-" + idA + ".scope"}, docker(idA)},
		"docker v1 cgroupfs":   {"3:cpu:/docker/" + idA + "\n1:name=systemd:/docker/" + idA + "\n", Unit{}, docker(idA)},
		"docker systemd in it": {"0::/docker/" + idA + "/system.slice/nginx.service\n", Unit{Inner: "nginx.service"}, docker(idA)},
		"docker in docker":     {"0::/docker/" + idA + "/docker/" + idB + "\n", Unit{}, docker(idB)},
		"docker, own parent":   {"0::/actions_job/" + idA + "\n", Unit{}, Container{ID: idA}},
		"containerd k8s":       {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + strings.ReplaceAll(pod, "-", "_") + ".slice/cri-containerd-" + idA + ".scope\n", Unit{Name: "cri-containerd-" + idA + ".scope"}, Container{ID: idA, Runtime: Containerd, Pod: pod}},
		"k8s cgroupfs":         {"0::/kubepods/besteffort/pod" + pod + "/" + idA + "\n", Unit{}, Container{ID: idA, Pod: pod}},
		"k8s in kind":          {"0::/docker/" + idA + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + strings.ReplaceAll(pod, "-", "_") + ".slice/cri-containerd-" + idB + ".scope\n", Unit{}, Container{ID: idB, Runtime: Containerd, Pod: pod}},
		"cri, colon form":      {"0::/system.slice/containerd.service/kubepods-burstable-pod" + strings.ReplaceAll(pod, "-", "_") + ".slice:cri-containerd:" + idA + "\n", Unit{Name: "containerd.service"}, Container{ID: idA, Runtime: Containerd}},
		"cri-o":                {"0::/kubepods.slice/kubepods-pod" + strings.ReplaceAll(pod, "-", "_") + ".slice/crio-" + idA + ".scope/container\n", Unit{Name: "crio-" + idA + ".scope"}, Container{ID: idA, Runtime: CRIO, Pod: pod}},
		"cri-o's monitor":      {"0::/kubepods.slice/crio-conmon-" + idA + ".scope\n", Unit{Name: "crio-conmon-" + idA + ".scope"}, Container{}},
		"podman":               {"0::/machine.slice/libpod-" + idA + ".scope/container\n", Unit{Name: "libpod-" + idA + ".scope"}, Container{ID: idA, Runtime: Podman}},
		"podman's monitor":     {"0::/machine.slice/libpod-conmon-" + idA + ".scope\n", Unit{Name: "libpod-conmon-" + idA + ".scope"}, Container{}},
		"podman cgroupfs":      {"0::/libpod_parent/libpod-" + idA + "\n", Unit{}, Container{ID: idA, Runtime: Podman}},
		"podman quadlet":       {"0::/system.slice/web.service/libpod-payload-" + idA + "\n", Unit{Name: "web.service"}, Container{ID: idA, Runtime: Podman}},
		"podman rootless":      {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container\n", Unit{Name: "libpod-" + idA + ".scope", User: "1000"}, Container{ID: idA, Runtime: Podman, User: "1000"}},
		"nerdctl":              {"0::/system.slice/nerdctl-" + idA + ".scope\n", Unit{Name: "nerdctl-" + idA + ".scope"}, Container{ID: idA, Runtime: Containerd}},
		"lxc 4":                {"0::/lxc.payload.web/system.slice/nginx.service\n", Unit{Inner: "nginx.service"}, Container{ID: "web", Runtime: LXC}},
		"lxc 3":                {"5:pids:/lxc/web\n1:name=systemd:/lxc/web/init.scope\n", Unit{}, Container{ID: "web", Runtime: LXC}},
		"lxc's monitor":        {"0::/lxc.monitor.web\n", Unit{}, Container{}},
		"nspawn service":       {`0::/machine.slice/systemd-nspawn@my\x2dbox.service/payload/system.slice/ssh.service` + "\n", Unit{Name: `systemd-nspawn@my\x2dbox.service`, Inner: "ssh.service"}, Container{ID: "my-box", Runtime: Nspawn}},
		"nspawn's own":         {"0::/machine.slice/systemd-nspawn@box.service/supervisor\n", Unit{Name: "systemd-nspawn@box.service"}, Container{}},
		"nspawn scope":         {`0::/machine.slice/machine-box.scope/payload` + "\n", Unit{Name: "machine-box.scope"}, Container{ID: "box", Runtime: Nspawn}},
		"virtual machine":      {`0::/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator` + "\n", Unit{Name: `machine-qemu\x2d1\x2dvm.scope`}, Container{}},
		"v1 without systemd":   {"3:cpu:/docker/" + idA + "\n2:pids:/docker/" + idA + "\n", Unit{}, docker(idA)},
		"short id is no id":    {"0::/docker/abcdef\n", Unit{}, Container{}},
		"colons in the path":   {"0::/system.slice/a:b.service\n", Unit{Name: "a:b.service"}, Container{}},
		"outside our group":    {"0::/../../system.slice/ssh.service\n", Unit{Name: "ssh.service"}, Container{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Parse(c.text)
			if diff := cmp.Diff(c.unit, got.Unit); diff != "" {
				t.Errorf("unit:\n%s", diff)
			}
			if diff := cmp.Diff(c.container, got.Container, cmpopts.IgnoreUnexported(Container{})); diff != "" {
				t.Errorf("container:\n%s", diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0::/system.slice/ssh.service\n")
	f.Add("1:name=systemd:/docker/" + idA + "/system.slice/x.service\n")
	f.Add("0::/user.slice/user@0.service/libpod-" + idA + ".scope/container")
	f.Add(`0::/machine.slice/systemd-nspawn@my\x2dbox.service/payload/`)
	f.Fuzz(func(t *testing.T, text string) {
		got := Parse(text)
		if strings.ContainsAny(got.Unit.Name, "/\n") || strings.Contains(got.Container.ID, "\n") {
			t.Errorf("%+v", got)
		}
		if got.Unit.Name != "" && !strings.Contains(text, got.Unit.Name) {
			t.Errorf("unit %q is not in the text", got.Unit.Name)
		}
	})
}
