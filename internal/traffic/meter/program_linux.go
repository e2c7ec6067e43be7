package meter

import (
	"github.com/cilium/ebpf"
)

// variant is what the program is told of an interface before it is loaded.
type variant struct {
	noLinkHeader             bool
	cutTCP4, cutTCP6, cutUDP bool
}

// programs loads the program once for each variant; all share the maps.
type programs struct {
	spec   *ebpf.CollectionSpec
	maps   map[string]*ebpf.Map
	loaded map[variant]*ebpf.Program
}

func (p *programs) get(v variant) (*ebpf.Program, error) {
	if prog := p.loaded[v]; prog != nil {
		return prog, nil
	}
	spec := p.spec.Copy()
	for name, on := range map[string]bool{"no_link_header": v.noLinkHeader,
		"cut_tcp4": v.cutTCP4, "cut_tcp6": v.cutTCP6, "cut_udp": v.cutUDP} {
		if err := spec.Variables[name].Set(on); err != nil {
			return nil, err
		}
	}
	var objects programPrograms
	err := spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: p.maps})
	if err != nil {
		return nil, refused("load the BPF program", "CAP_BPF and CAP_NET_ADMIN", "BPF as this program needs it", err)
	}
	p.loaded[v] = objects.Meter
	return objects.Meter, nil
}

// close gives the programs up; what is attached stays.
func (p *programs) close() {
	for _, prog := range p.loaded {
		_ = prog.Close()
	}
}
