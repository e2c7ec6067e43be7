package bpfload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// object is a program of the family, with several relocations.
func object(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec("../holders/taskfile_bpfel_linux.o")
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func kernel(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(vmlinux)
	if err != nil {
		t.Skipf("this kernel shows no BTF: %v", err)
	}
	if bytes.IndexByte([]byte{0x9f}, raw[0]) < 0 {
		t.Skip("the object is for little-endian machines")
	}
	return raw
}

// The oracle: the library, with all of the kernel's types, relocates the
// program to the same instructions and finds the same function.
func TestRelocatesAsTheLibraryDoes(t *testing.T) {
	raw := kernel(t)
	whole, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	for name := range object(t).Programs {
		spec := object(t)
		reduced, err := Reduce(raw, structNames(spec.Types), "bpf_iter_task_file")
		if err != nil {
			t.Fatal(err)
		}
		ours, err := relocate(spec.Programs[name].Copy(), reduced.BTF)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(code(t, relocateAgainst(t, spec.Programs[name].Copy(), whole)), code(t, ours)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		var fn *btf.Func
		if err := whole.TypeByName("bpf_iter_task_file", &fn); err != nil {
			t.Fatal(err)
		}
		if id, err := whole.TypeID(fn); err != nil || uint32(id) != reduced.Func {
			t.Errorf("function %d, want %d %v", reduced.Func, id, err)
		}
		if len(reduced.BTF) > len(raw)/10 {
			t.Errorf("reduced from %d to %d bytes only", len(raw), len(reduced.BTF))
		}
	}
}

func relocateAgainst(t *testing.T, spec *ebpf.ProgramSpec, types *btf.Spec) asm.Instructions {
	t.Helper()
	var relos []*btf.CORERelocation
	var places []*asm.Instruction
	for i := range spec.Instructions {
		if relo := btf.CORERelocationMetadata(&spec.Instructions[i]); relo != nil {
			relos, places = append(relos, relo), append(places, &spec.Instructions[i])
		}
	}
	fixups, err := btf.CORERelocate(relos, []*btf.Spec{types}, spec.ByteOrder, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range fixups {
		if err := fixups[i].Apply(places[i]); err != nil {
			t.Fatal(err)
		}
	}
	return spec.Instructions
}

func code(t *testing.T, insns asm.Instructions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := insns.Marshal(&b, binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The quick way works where the kernel has what it takes: otherwise Load would
// hide its failure behind the library.
func TestQuickLoads(t *testing.T) {
	kernel(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root to load a program")
	}
	spec := object(t)
	for name := range spec.Programs {
		prog, err := quick(spec, spec.Programs[name].Copy())
		if err != nil {
			t.Fatal(err)
		}
		info, err := prog.Info()
		if err != nil || info.Type != ebpf.Tracing {
			t.Errorf("%v %v", info, err)
		}
		_ = prog.Close()
	}
	prog, err := Load(spec, "every_socket")
	if err != nil {
		t.Fatal(err)
	}
	_ = prog.Close()
	if _, err := Load(spec, "none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
}

// What the quick way cannot do, the library may: the error is the library's.
func TestLoadFallsBack(t *testing.T) {
	kernel(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root to load a program")
	}
	spec := object(t)
	spec.Programs["every_socket"].AttachTo = "no_such_iterator"
	if _, err := Load(spec, "every_socket"); !errors.Is(err, ebpf.ErrNotSupported) {
		t.Errorf("%v", err)
	}
	spec = object(t)
	spec.Programs["every_socket"].Instructions = asm.Instructions{asm.Return()}
	var verifier *ebpf.VerifierError
	if _, err := Load(spec, "every_socket"); !errors.As(err, &verifier) || !errors.Is(err, unix.EACCES) {
		t.Errorf("%v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	for b.Loop() {
		spec, err := ebpf.LoadCollectionSpec("../holders/taskfile_bpfel_linux.o")
		if err != nil {
			b.Fatal(err)
		}
		prog, err := Load(spec, "every_socket")
		if err != nil {
			b.Fatal(err)
		}
		_ = prog.Close()
	}
}
