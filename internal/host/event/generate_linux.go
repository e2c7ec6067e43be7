package event

// Needs Debian's clang-14 and llvm-14; another version makes another object.
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel,bpfeb -output-suffix _linux -no-global-types listeners bpf/listeners.c -- -O2 -g -Wall -Werror -std=gnu11
