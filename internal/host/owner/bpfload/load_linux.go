package bpfload

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// vmlinux is the kernel's own BTF.
const vmlinux = "/sys/kernel/btf/vmlinux"

// Load loads one iterator program of an object. Errors are those of
// ebpf.NewProgram.
func Load(object *ebpf.CollectionSpec, name string) (*ebpf.Program, error) {
	spec := object.Programs[name]
	if spec == nil {
		return nil, fmt.Errorf("load BPF program %s: %w", name, os.ErrNotExist)
	}
	if prog, err := quick(object, spec.Copy()); err == nil {
		return prog, nil
	}
	return ebpf.NewProgram(spec)
}

// quick does without an index of all types.
func quick(object *ebpf.CollectionSpec, spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	if spec.Type != ebpf.Tracing || spec.AttachType != ebpf.AttachTraceIter {
		return nil, errors.ErrUnsupported
	}
	reduced, err := reduceKernel(structNames(object.Types), "bpf_iter_"+spec.AttachTo)
	if err != nil {
		return nil, err
	}
	insns, err := relocate(spec, reduced.BTF)
	if err != nil {
		return nil, err
	}
	return submit(spec, insns, reduced.Func)
}

// structNames lists the structures that the object declares, among them those
// of the kernel.
func structNames(types *btf.Spec) []string {
	var names []string
	for t, err := range types.All() {
		if err != nil {
			break
		}
		if s, ok := t.(*btf.Struct); ok && s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

func reduceKernel(names []string, function string) (Reduced, error) {
	f, err := os.Open(vmlinux)
	if err != nil {
		return Reduced{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Reduced{}, err
	}
	raw, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil { // before Linux 6.16 it can be read only
		if raw, err = os.ReadFile(vmlinux); err != nil {
			return Reduced{}, err
		}
		return Reduce(raw, names, function)
	}
	defer unix.Munmap(raw)
	return Reduce(raw, names, function)
}

// relocate adapts the program's field offsets to the kernel's types.
func relocate(spec *ebpf.ProgramSpec, blob []byte) (asm.Instructions, error) {
	types, err := btf.LoadSpecFromReader(bytes.NewReader(blob))
	if err != nil {
		return nil, err
	}
	insns := spec.Instructions
	var relos []*btf.CORERelocation
	var places []*asm.Instruction
	for i := range insns {
		if relo := btf.CORERelocationMetadata(&insns[i]); relo != nil {
			relos, places = append(relos, relo), append(places, &insns[i])
		}
	}
	noLocal := func(btf.Type) (btf.TypeID, error) { return 0, errors.ErrUnsupported }
	fixups, err := btf.CORERelocate(relos, []*btf.Spec{types}, spec.ByteOrder, noLocal)
	if err != nil {
		return nil, err
	}
	for i, fixup := range fixups {
		if err := fixup.Apply(places[i]); err != nil {
			return nil, err
		}
	}
	return insns, nil
}

// loadAttr is the part of union bpf_attr that BPF_PROG_LOAD reads here
// (include/uapi/linux/bpf.h).
type loadAttr struct {
	progType, insnCount  uint32
	insns, license       uint64
	logLevel, logSize    uint32
	logBuf               uint64
	kernVersion, flags   uint32
	name                 [16]byte
	ifindex, attachType  uint32
	btfFD, funcInfoSize  uint32
	funcInfo             uint64
	funcInfoCount        uint32
	lineInfoSize         uint32
	lineInfo             uint64
	lineInfoCount        uint32
	attachBTF, attachObj uint32
	_                    uint32
}

// submit hands the program to the kernel. The verifier gives up with EAGAIN
// when a signal comes, as those of the Go scheduler do.
func submit(spec *ebpf.ProgramSpec, insns asm.Instructions, target uint32) (*ebpf.Program, error) {
	var code bytes.Buffer
	if err := insns.Marshal(&code, spec.ByteOrder); err != nil {
		return nil, err
	}
	license := append([]byte(spec.License), 0)
	var pinned runtime.Pinner // the kernel reads these by address
	defer pinned.Unpin()
	pinned.Pin(&code.Bytes()[0])
	pinned.Pin(&license[0])
	attr := loadAttr{
		progType:   uint32(spec.Type),
		insnCount:  uint32(code.Len() / asm.InstructionSize),
		insns:      uint64(uintptr(unsafe.Pointer(&code.Bytes()[0]))),
		license:    uint64(uintptr(unsafe.Pointer(&license[0]))),
		attachType: uint32(spec.AttachType),
		attachBTF:  target,
	}
	copy(attr.name[:15], spec.Name)
	const tries = 5
	for range tries {
		fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if errno == 0 {
			return ebpf.NewProgramFromFD(int(fd))
		}
		if errno != unix.EAGAIN {
			return nil, errno
		}
	}
	return nil, unix.EAGAIN
}
