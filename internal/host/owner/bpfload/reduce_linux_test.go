package bpfload

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

// sample is a small BTF blob with the kinds that structures contain.
func sample(t testing.TB) []byte {
	t.Helper()
	number := &btf.Int{Name: "int", Size: 4}
	inner := &btf.Struct{Name: "inner", Size: 8, Members: []btf.Member{{Name: "n", Type: number}, {Name: "list", Type: &btf.Array{Index: number, Type: number, Nelems: 1}, Offset: 32}}}
	outer := &btf.Struct{Name: "outer", Size: 24, Members: []btf.Member{
		{Name: "in", Type: &btf.Typedef{Name: "inner_t", Type: &btf.Const{Type: inner}}},
		{Name: "next", Type: &btf.Pointer{Target: &btf.Struct{Name: "far", Size: 4}}, Offset: 64},
		{Name: "kind", Type: &btf.Enum{Name: "kind", Size: 4, Values: []btf.EnumValue{{Name: "A", Value: 1}}}, Offset: 128},
	}}
	proto := &btf.FuncProto{Return: &btf.Void{}, Params: []btf.FuncParam{{Name: "o", Type: &btf.Pointer{Target: outer}}}}
	b, err := btf.NewBuilder([]btf.Type{&btf.Union{Name: "unused", Size: 4}, outer, &btf.Func{Name: "visit", Type: proto, Linkage: btf.GlobalFunc}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestReduce(t *testing.T) {
	got, err := Reduce(sample(t), []string{"outer", "absent", ""}, "visit")
	if err != nil {
		t.Fatal(err)
	}
	types, err := btf.LoadSpecFromReader(bytes.NewReader(got.BTF))
	if err != nil {
		t.Fatal(err)
	}
	var outer *btf.Struct
	if err := types.TypeByName("outer", &outer); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range outer.Members {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"in", "next", "kind"}, names); diff != "" {
		t.Error(diff)
	}
	if in, ok := btf.UnderlyingType(outer.Members[0].Type).(*btf.Struct); !ok || in.Name != "inner" || len(in.Members) != 2 {
		t.Errorf("inner is %v", outer.Members[0].Type)
	}
	for _, name := range []string{"far", "unused", "visit"} {
		if all, err := types.AnyTypesByName(name); err == nil {
			t.Errorf("%s was copied: %v", name, all)
		}
	}
}

func TestReduceRefuses(t *testing.T) {
	good := sample(t)
	if _, err := Reduce(good, []string{"outer"}, "absent"); err == nil {
		t.Error("no such function, and no error")
	}
	for cut := range len(good) {
		if _, err := Reduce(good[:cut], []string{"outer"}, "visit"); err == nil {
			t.Fatalf("cut after %d bytes, and no error", cut)
		}
	}
}

func FuzzReduce(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte{0x9f, 0xeb, 1, 0, 24, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Reduce(raw, []string{"outer", "inner", "unused"}, "visit")
		if err != nil {
			return
		}
		// What was copied is well-formed enough to be read again.
		if _, err := Reduce(got.BTF, []string{"outer"}, "visit"); err == nil {
			t.Error("functions are not copied")
		}
	})
}
