// Package bpfload loads a small BPF iterator program quickly.
//
// Loading one with the library alone takes some 20 ms, and more with every
// kernel module: nearly all of it goes into indexing all of the kernel's
// types, of which a program needs a dozen. Load instead copies these few out
// of the kernel's BTF in one pass (Reduce), has the library relocate the
// program against them, and hands it to the kernel. Where any step fails the
// library does it all, and its error is the answer.
//
// Terms. BTF is the kernel's type description (Documentation/bpf/btf.rst). A
// root is a type asked for by name; the reduced BTF holds the roots and what
// they contain, while whatever they point to is void.
//
// Programs may use CO-RE for fields and sizes of types of the kernel proper,
// and not for type numbers, maps, global variables or functions of their own.
// Nothing is kept between calls.
package bpfload
