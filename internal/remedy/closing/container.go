package closing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// containerStep stops a container and keeps it stopped.
type containerStep struct {
	Engine string `json:"engine"` // docker or podman
	ID     string `json:"id"`
	Name   string `json:"name"`
	// Policy is its restart policy before; Retries its limit.
	Policy  string `json:"policy"`
	Retries int    `json:"retries"`
	// Gone: the engine removes the container when it stops (--rm).
	Gone bool `json:"gone"`
}

// proxies are the programs that hold a published port in a container's name.
var proxies = []string{"docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "conmon"}

func isProxy(s *exposure.Socket) bool {
	return slices.ContainsFunc(s.Processes, func(x exposure.Process) bool { return slices.Contains(proxies, x.Name) })
}

// superServer reports inetd and its like.
func superServer(s *exposure.Socket) bool {
	return len(s.Processes) > 0 && strings.HasSuffix(s.Processes[0].Name, "inetd") && s.Unit != "systemd"
}

// contained decides for a port of a container. A published port cannot be
// taken back while the container lives: it is walled off, and what has to be
// recreated is said. A container on the host's own network is stopped.
func (p *Plan) contained(ctx context.Context, w *work, c *Closure, s *exposure.Socket) (How, string, error) {
	box, err := p.boxOf(ctx, c, s)
	if err != nil {
		p.note("what publishes the port could not be asked for: " + err.Error())
	}
	if box != nil {
		c.Owner = "container " + box.name() + " (" + box.Image + ")"
		p.recreate(box, c)
	}
	engine := s.Container != nil && (s.Container.Runtime == "docker" || s.Container.Runtime == "podman")
	if p.o.How != Stop && (isProxy(s) || !engine) {
		w.wall = append(w.wall, wallPorts(c)...)
		if s.Container != nil && !engine {
			p.manual("change it where the container is described: its orchestrator starts again what is stopped by hand", "")
		}
		return Firewall, "a container's port is published as long as the container lives: strangers are kept out until it is recreated", nil
	}
	step, err := p.stopping(ctx, box, s)
	if err != nil {
		return "", "", err
	}
	if !slices.ContainsFunc(w.engines, func(x *containerStep) bool { return x.ID == step.ID }) {
		w.engines = append(w.engines, step)
	}
	p.goes(s)
	for _, x := range p.seen.listeners() {
		if x.Container != nil && x.Container.ID == step.ID || isProxy(x) && box != nil && box.publishes(x.Proto, x.Port) {
			p.goes(x)
		}
	}
	return Stop, "the container is stopped and kept stopped", nil
}

// publisher names the container behind a port without a listener.
func (p *Plan) publisher(ctx context.Context, c *Closure) error {
	box, err := p.boxOf(ctx, c, nil)
	if err != nil || box == nil {
		d := c.published[0]
		p.manual("to close it for good, remove the rule that sends it to "+target(d)+" where it is made", "")
		return nil
	}
	c.Owner = "container " + box.name() + " (" + box.Image + ")"
	p.recreate(box, c)
	return nil
}

// recreate says what a person has to do for good.
func (p *Plan) recreate(b *box, c *Closure) {
	inner := c.Port.Port
	for _, x := range b.Ports {
		if x.Public == c.Port.Port {
			inner = x.Private
		}
	}
	publish := fmt.Sprintf("127.0.0.1:%d:%d", c.Port.Port, inner)
	if argv, files := b.compose(); argv != nil {
		p.manual(fmt.Sprintf("for good: in %s, service %s, write the port as \"%s\" (this host alone) or take it out, then recreate it", files, b.Labels[composeService], publish), command(argv...))
		return
	}
	p.manual("for good: recreate container "+b.name()+" (image "+b.Image+") with -p "+publish+" (this host alone), or without -p; its data outside of volumes is lost with it",
		"docker inspect "+quote(b.name())+"   # what it was made with, before: docker rm -f "+quote(b.name()))
}

// Labels that Docker Compose puts on its containers (pkg/api of compose).
const (
	composeProject = "com.docker.compose.project"
	composeFolder  = "com.docker.compose.project.working_dir"
	composeFiles   = "com.docker.compose.project.config_files"
	composeService = "com.docker.compose.service"
)

// compose is the command that makes the container's service anew, and the
// files that describe it; nil for a container that Compose did not make.
func (b *box) compose() (argv []string, files string) {
	files = b.Labels[composeFiles]
	if files == "" || b.Labels[composeService] == "" {
		return nil, ""
	}
	argv = []string{"docker", "compose"}
	for _, o := range [][2]string{{"-p", composeProject}, {"--project-directory", composeFolder}} {
		if v := b.Labels[o[1]]; v != "" {
			argv = append(argv, o[0], v)
		}
	}
	for f := range strings.SplitSeq(files, ",") {
		argv = append(argv, "-f", f)
	}
	return append(argv, "up", "-d", b.Labels[composeService]), strings.ReplaceAll(files, ",", ", ")
}

// box is a container as the Docker engine lists it (Engine API, GET
// /containers/json).
type box struct {
	ID     string `json:"Id"`
	Names  []string
	Image  string
	Labels map[string]string
	Ports  []struct {
		IP      string
		Private uint16 `json:"PrivatePort"`
		Public  uint16 `json:"PublicPort"`
		Type    string
	}
}

func (b *box) name() string {
	for _, n := range b.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return b.ID[:min(len(b.ID), 12)]
}

func (b *box) publishes(proto exposure.Proto, port uint16) bool {
	for _, x := range b.Ports {
		if x.Public == port && x.Type == string(proto) {
			return true
		}
	}
	return false
}

// boxOf finds the container that publishes the port, or that the socket lives
// in.
func (p *Plan) boxOf(ctx context.Context, c *Closure, s *exposure.Socket) (*box, error) {
	if s != nil && s.Container != nil && s.Container.Runtime != "docker" || s != nil && s.Container == nil && name(s) != "docker-proxy" {
		return nil, nil
	}
	var list []box
	d := docker{p.o.DockerSocket}
	if err := d.call(ctx, http.MethodGet, "/containers/json?all=1", nil, &list); err != nil {
		return nil, err
	}
	for i := range list {
		b := &list[i]
		if s != nil && s.Container != nil && s.Container.ID == b.ID {
			return b, nil
		}
		for _, proto := range []exposure.Proto{exposure.TCP, exposure.UDP, exposure.SCTP} {
			if (c.Proto == "" || c.Proto == proto) && b.publishes(proto, c.Port.Port) {
				return b, nil
			}
		}
	}
	return nil, nil
}

// stopping reads what must be known to start the container again.
func (p *Plan) stopping(ctx context.Context, b *box, s *exposure.Socket) (*containerStep, error) {
	out := &containerStep{Engine: "docker"}
	switch {
	case b != nil:
		out.ID, out.Name = b.ID, b.name()
	case s.Container != nil && s.Container.Runtime == "podman":
		return &containerStep{Engine: "podman", ID: s.Container.ID, Name: orElse(s.Container.Name, s.Container.ID)}, nil
	default:
		return nil, hinted(fail(remedy.Failed, fmt.Sprintf("the container behind %s was not found, so it cannot be stopped", s.Endpoint()), nil), "keep strangers out with --how firewall")
	}
	var doc struct {
		HostConfig struct {
			AutoRemove    bool
			RestartPolicy struct {
				Name              string
				MaximumRetryCount int
			}
		}
	}
	d := docker{p.o.DockerSocket}
	if err := d.call(ctx, http.MethodGet, "/containers/"+b.ID+"/json", nil, &doc); err != nil {
		return nil, fail(remedy.Failed, "the container "+out.Name+" cannot be asked for", err)
	}
	out.Policy, out.Retries = doc.HostConfig.RestartPolicy.Name, doc.HostConfig.RestartPolicy.MaximumRetryCount
	out.Gone = doc.HostConfig.AutoRemove
	return out, nil
}

func (p *Plan) containerSteps(_ context.Context, w *work) error {
	for _, s := range w.engines {
		out := Step{Kind: "container", Container: s, What: "stop container " + s.Name,
			Commands: []string{s.Engine + " stop " + quote(s.Name)}, Undo: []string{s.Engine + " start " + quote(s.Name)}}
		if s.restarts() {
			out.Commands = append([]string{"docker update --restart=no " + quote(s.Name)}, out.Commands...)
			out.Undo = append(out.Undo, "docker update --restart="+s.restart()+" "+quote(s.Name))
		}
		if s.Gone {
			p.note("container " + s.Name + " was started with --rm: it is gone once it is stopped, and undo cannot start it again")
		}
		p.Steps = append(p.Steps, out)
	}
	return nil
}

func (s *containerStep) restarts() bool {
	return s.Engine == "docker" && s.Policy != "" && s.Policy != "no"
}

// restart is the policy as docker(1) takes it.
func (s *containerStep) restart() string {
	if s.Retries > 0 {
		return fmt.Sprintf("%s:%d", s.Policy, s.Retries)
	}
	return s.Policy
}

func (s *containerStep) do(ctx context.Context, r *run) error {
	if s.restarts() {
		r.Step("docker update " + s.Name)
		if err := s.policy(ctx, r, "no", 0); err != nil {
			return err
		}
	}
	r.Step(s.Engine + " stop " + s.Name)
	return s.act(ctx, r, "stop")
}

// act starts or stops it; one that is so already is no failure (304).
func (s *containerStep) act(ctx context.Context, r *run, what string) error {
	var err error
	if s.Engine == "podman" {
		_, err = r.Run(ctx, nil, "podman", what, s.ID)
	} else {
		d := docker{r.DockerSocket}
		err = d.call(ctx, http.MethodPost, "/containers/"+s.ID+"/"+what, nil, nil)
	}
	if err != nil {
		return fail(remedy.Failed, s.Engine+" "+what+" "+s.Name+" failed", err)
	}
	return nil
}

func (s *containerStep) policy(ctx context.Context, r *run, name string, retries int) error {
	type restart struct {
		Name              string
		MaximumRetryCount int
	}
	d := docker{r.DockerSocket}
	if err := d.call(ctx, http.MethodPost, "/containers/"+s.ID+"/update", map[string]any{"RestartPolicy": restart{name, retries}}, nil); err != nil {
		return fail(remedy.Failed, "docker update "+s.Name+" failed", err)
	}
	return nil
}

func (s *containerStep) undo(ctx context.Context, r *run) error {
	r.Step(s.Engine + " start " + s.Name)
	switch err := s.act(ctx, r, "start"); {
	case errors.Is(err, errNoContainer):
		// It never can be started again: that is said, and does not keep the
		// journal open for ever.
		r.lose(fmt.Sprintf("container %s is gone and cannot be started again: %s", s.Name, s.whyGone()))
		return nil
	case err != nil:
		return err
	}
	if s.restarts() {
		return s.policy(ctx, r, s.Policy, s.Retries)
	}
	return nil
}

func (s *containerStep) whyGone() string {
	if s.Gone {
		return "it was started with --rm, and is removed when it stops. Make it anew"
	}
	return "somebody has removed it since. Make it anew"
}

// changed: a container's settings are the engine's; starting it overwrites
// nothing.
func (s *containerStep) changed(context.Context, *run) ([]Diff, error) { return nil, nil }
