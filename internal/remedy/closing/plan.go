package closing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// Prepare makes the plan. It changes nothing. A plan that must not be carried
// out is no error here: see Plan.Err.
func Prepare(ctx context.Context, o Options) (*Plan, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	o.Machine = o.Machine.filled()
	p := &Plan{Steps: []Step{}, Breaks: []string{}, Also: []string{}, Refused: []Refusal{}, Manual: []exposure.Fix{}, Notes: []string{}, o: o}
	if err := o.check(); err != nil {
		return nil, err
	}
	var err error
	if p.seen, p.Gaps, err = see(ctx, o.Machine); err != nil {
		return nil, err
	}
	p.forbidPorts()
	for _, port := range o.Ports {
		if err := p.port(port); err != nil {
			return nil, err
		}
	}
	if err := p.steps(ctx); err != nil {
		return nil, err
	}
	p.consequences()
	p.judge()
	return p, p.unknownOverrides()
}

func (o *Options) check() error {
	switch {
	case len(o.Ports) == 0:
		return fail(remedy.Invalid, "no port was given", nil)
	case o.How != Best && !slices.Contains(Hows(), o.How):
		return fail(remedy.Invalid, fmt.Sprintf("there is no way %q to close a port", o.How), nil)
	case o.StateDir == "":
		return fail(remedy.State, "no folder for the journal was given", nil)
	}
	o.Ports = slices.Compact(slices.Clone(o.Ports))
	return nil
}

// unknownOverrides refuses words that override nothing: a slip must not pass
// for consent.
func (p *Plan) unknownOverrides() error {
	for _, w := range p.o.Override {
		if !slices.ContainsFunc(p.Refused, func(r Refusal) bool { return r.Name == w }) {
			e := fail(remedy.Invalid, fmt.Sprintf("--override %s overrides nothing: this plan has no such refusal", w), nil)
			if list := p.Forbidden(); len(list) > 0 {
				return hinted(e, "it has: "+list[0].Name)
			}
			return e
		}
	}
	return nil
}

// port finds what is at one port asked for.
func (p *Plan) port(port Port) error {
	c := Closure{Port: port, Endpoints: []string{}, Bind: []string{}, Clients: []string{}}
	for _, s := range p.seen.listeners() {
		if port.covers(s.Proto, s.Port) {
			c.sockets = append(c.sockets, s)
			c.Endpoints = append(c.Endpoints, s.Endpoint().String())
			if a := s.Addr.String(); !slices.Contains(c.Bind, a) {
				c.Bind = append(c.Bind, a)
			}
		}
	}
	for _, d := range p.seen.published {
		if port.Port >= d.First && port.Port <= d.Last && (port.Proto == "" || port.Proto == d.Proto) {
			c.published = append(c.published, d)
			c.Published = append(c.Published, d.Rule)
		}
	}
	if len(c.sockets) == 0 && len(c.published) == 0 {
		if len(p.Refused) > 0 {
			p.Closures = append(p.Closures, c)
			return nil // refused anyhow, and that is what must be said
		}
		return p.nothingThere(port)
	}
	c.Service = p.service(&c)
	p.Closures = append(p.Closures, c)
	return nil
}

// nothingThere says so; and whether it is open elsewhere on this machine.
func (p *Plan) nothingThere(port Port) error {
	text := "nothing listens on port " + port.String() + " here, and no rule sends it elsewhere: there is nothing to close"
	hint := "portreeve host lists what listens, in other network namespaces too"
	for i := range p.seen.snap.Sockets {
		if s := &p.seen.snap.Sockets[i]; s.Port == port.Port && !s.IsListener() && s.State == exposure.Bound {
			hint = "a process has bound it without listening: portreeve host --all"
		}
	}
	if len(p.o.Ports) > 1 {
		text += "; several ports are closed all or none, so nothing was changed"
	}
	return hinted(fail(remedy.Nothing, text, nil), hint)
}

func (p *Plan) service(c *Closure) string {
	if len(c.sockets) > 0 {
		s := c.sockets[0]
		if a := p.o.Book.AdviceAt(s.Proto, s.Port, holders(s)...); a != nil {
			return a.ID
		}
		return p.o.Book.Name(s.Proto, s.Port)
	}
	return p.o.Book.Name(c.published[0].Proto, c.Port.Port)
}

func holders(s *exposure.Socket) (out []string) {
	for _, x := range s.Processes {
		for _, n := range []string{x.Exe[strings.LastIndexByte(x.Exe, '/')+1:], x.Name} {
			if n != "" && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// work gathers what the owners of all ports need, so that two ports of one
// unit make one step.
type work struct {
	units   map[string]*unitWork // by manager
	scripts []*scriptStep
	rebind  []*exposure.Socket
	inetd   []*exposure.Socket
	ends    []*exposure.Socket
	wall    []wallPort
	engines []*containerStep
}

// steps chooses the way of each port and makes the steps, in the order in
// which they are done: what keeps strangers out at once, then what others
// start, then what starts nothing.
func (p *Plan) steps(ctx context.Context) error {
	w := &work{units: map[string]*unitWork{}}
	for i := range p.Closures {
		c := &p.Closures[i]
		if err := p.way(ctx, w, c); err != nil {
			return err
		}
		if p.o.Now && c.How != Firewall {
			w.wall = append(w.wall, wallPorts(c)...)
		}
	}
	for _, make := range []func(context.Context, *work) error{p.wallSteps, p.containerSteps, p.unitSteps, p.scriptSteps, p.configSteps, p.processSteps} {
		if err := make(ctx, w); err != nil {
			return err
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		s.Commands, s.Undo = orEmpty(s.Commands), orEmpty(s.Undo)
	}
	return nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// way decides for one port. All its sockets go, each by its own owner.
func (p *Plan) way(ctx context.Context, w *work, c *Closure) error {
	if len(c.sockets) == 0 {
		return p.onlyPublished(ctx, w, c)
	}
	for _, s := range c.sockets {
		how, why, err := p.owner(ctx, w, c, s)
		if err != nil {
			return err
		}
		if c.How != Best && c.How != how {
			why = c.Why + "; " + string(how) + ": " + why
		}
		c.How, c.Why = how, why
	}
	return nil
}

// onlyPublished: no listener, but a rule that sends the port elsewhere.
func (p *Plan) onlyPublished(ctx context.Context, w *work, c *Closure) error {
	if len(c.published) == 0 {
		c.How, c.Why = Manual, "refused"
		return nil
	}
	if p.o.How != Best && p.o.How != Firewall {
		return hinted(fail(remedy.Invalid, fmt.Sprintf("port %s has no listener here: a rule sends it elsewhere (%s), which only --how firewall closes", c.Port, c.published[0].Rule), nil),
			"leave --how away, or close it where it leads: "+c.published[0].Target.Rule)
	}
	c.Owner = "a rule sends it to " + target(c.published[0])
	c.How, c.Why = Firewall, "no listener: packets are sent elsewhere before they arrive, by "+c.published[0].Rule
	w.wall = append(w.wall, wallPorts(c)...)
	return p.publisher(ctx, c)
}

func target(d exposure.PublishedPort) string {
	if !d.Target.Addr.IsValid() {
		return fmt.Sprintf("port %d of this host", d.Target.Port)
	}
	return exposure.HostPort(exposure.IPAddress(d.Target.Addr), d.Target.Port)
}

// owner decides for one socket.
func (p *Plan) owner(ctx context.Context, w *work, c *Closure, s *exposure.Socket) (How, string, error) {
	if c.Owner == "" {
		c.Owner, c.Unit, c.Socket = ownerText(s), s.Unit, s.ActivatedBy
	}
	want := p.o.How
	switch {
	case want == Firewall:
		w.wall = append(w.wall, wallPorts(c)...)
		return Firewall, "as asked", nil
	case s.Kernel != nil:
		return p.kernel(c, s)
	case want == Kill:
		return p.end(w, s, "as asked")
	case want == Rebind:
		w.rebind = append(w.rebind, s)
		return Rebind, "as asked", nil
	case isProxy(s) || s.Container != nil:
		return p.contained(ctx, w, c, s)
	case superServer(s):
		w.inetd = append(w.inetd, s)
		return Stop, "its entry is taken out of the super-server's configuration", nil
	case want == Best && p.local(s):
		w.rebind = append(w.rebind, s)
		return Rebind, "the policy says that only this host uses it", nil
	}
	return p.managed(ctx, w, s)
}

// managed: a unit, an init script, or nothing.
func (p *Plan) managed(ctx context.Context, w *work, s *exposure.Socket) (How, string, error) {
	if yes, err := p.unit(ctx, w, s); yes || err != nil {
		return Stop, "the unit that holds it is stopped and kept from starting", err
	}
	if script := p.script(ctx, s); script != nil {
		w.addScript(script)
		return Stop, "the script that starts it stops it, and is kept from starting it at boot", nil
	}
	if len(s.Processes) == 0 {
		why := orElse(s.OwnerUnknown, "no process is known")
		return "", "", hinted(fail(remedy.NoPrivilege, fmt.Sprintf("who holds %s is not known (%s), so it cannot be closed by its owner", s.Endpoint(), why), nil),
			"run it as root, or keep others out with --how firewall")
	}
	if title := p.lostCommand(s); title != "" && p.o.How == Best {
		w.wall = append(w.wall, wallPort{Proto: s.Proto, Port: s.Port})
		p.note(fmt.Sprintf("The process goes on. --how stop ends it, and then nothing but you can start it again: it shows %q in place of its command line", title))
		return Firewall, "nothing manages the process, and it has overwritten its command line: once ended, undo could not start it again", nil
	}
	return p.end(w, s, "no unit, script or container manages the process: it is ended")
}

// lostCommand is the title of a process that cannot be started again, since it
// has written that over its command line; "" where none has.
func (p *Plan) lostCommand(s *exposure.Socket) string {
	for _, x := range s.Processes {
		if slices.ContainsFunc(s.Processes, func(q exposure.Process) bool { return q.PID == parentOf(p.o.Proc, x.PID) }) {
			continue // a child comes back with the one that started it
		}
		if r, err := recordOf(p.o.Proc, x.PID); err == nil && len(r.Argv) == 0 {
			return r.Title
		}
	}
	return ""
}

// local reports that the policy wants the port on this host alone.
func (p *Plan) local(s *exposure.Socket) bool {
	if p.o.Policy == nil || s.Scope == exposure.ScopeLoopback {
		return false
	}
	return slices.ContainsFunc(p.o.Policy.Expect, func(e expect) bool {
		return e.Port.Covers(s.Proto, s.Port) && exposure.Scope(e.Scope) == exposure.ScopeLoopback
	})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// ownerText names the owner for people.
func ownerText(s *exposure.Socket) string {
	switch {
	case s.Kernel != nil:
		return "the kernel (" + s.Kernel.User + " " + s.Kernel.Detail + ")"
	case s.Container != nil:
		return "container " + orElse(s.Container.Name, s.Container.ID)
	case len(s.Processes) == 0:
		return "not known: " + orElse(s.OwnerUnknown, "no process")
	}
	x := s.Processes[0]
	text := fmt.Sprintf("%s, process %d", x.Name, x.PID)
	if n := len(s.Processes); n > 1 {
		text += fmt.Sprintf(" and %d more", n-1)
	}
	if x.User != "" {
		text += " of " + x.User
	}
	return text
}

// kernel: what removes it is shown, not done.
func (p *Plan) kernel(c *Closure, s *exposure.Socket) (How, string, error) {
	for _, f := range kernelFixes(s.Kernel) {
		p.manual(f.What, f.Command)
	}
	if p.o.How == Kill || p.o.How == Rebind {
		return "", "", fail(remedy.Invalid, fmt.Sprintf("%s is held by the kernel (%s): no process can be ended or bound elsewhere", s.Endpoint(), s.Kernel.User), nil)
	}
	return Manual, "the kernel holds it for " + s.Kernel.User + ": this program does not take that apart by itself", nil
}

func kernelFixes(k *exposure.KernelUser) []exposure.Fix {
	switch k.User {
	case "vxlan", "geneve", "wireguard", "gtp", "bareudp":
		return []exposure.Fix{{What: "the kernel holds it for interface " + k.Detail + "; without the interface it is closed (what makes it at boot has to be told too)", Command: "ip link set " + quote(k.Detail) + " down && ip link delete " + quote(k.Detail)}}
	case "nfsd":
		return []exposure.Fix{{What: "the kernel's NFS server holds it", Command: "systemctl disable --now nfs-server.service"}}
	case "lockd":
		return []exposure.Fix{{What: "the kernel's NFS lock manager holds it while an NFS file system is mounted or served", Command: "systemctl disable --now nfs-server.service && umount -a -t nfs"}}
	case "ksmbd":
		return []exposure.Fix{{What: "the kernel's SMB server holds it", Command: "ksmbd.control --shutdown"}}
	}
	return nil
}

// quote makes a word safe to paste.
func quote(s string) string {
	safe := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("@%_+=:,./-", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !safe(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// command writes an argv as a person would type it.
func command(argv ...string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = quote(a)
	}
	return strings.Join(out, " ")
}
