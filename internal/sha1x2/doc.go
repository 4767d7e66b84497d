// Package sha1x2 computes SHA-1 of two streams at a time.
//
// A processor's SHA instructions wait for each other: four rounds need the four
// before. Two independent streams, interleaved, fill the gaps and take little longer
// than one. On amd64 with the SHA extensions this is done in assembly, which gen.go
// writes; elsewhere the two are hashed one after the other by crypto/sha1.
package sha1x2

//go:generate go run gen.go
