package wire

// Problem is why a frame could not be read to the end of its headers.
type Problem uint8

// NoProblem: all was read.
const NoProblem Problem = 0
