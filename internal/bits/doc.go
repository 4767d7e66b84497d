// Package bits holds a fixed-length set of small integers, one bit each: which
// pieces a peer has, which blocks of a piece have arrived. The number of members is
// kept, so Count, Full and None cost nothing.
//
// Bits lie in words of 64, lowest index in the lowest bit, which is what the
// machine counts and scans fastest. The wire's order (BEP 3: the high bit of the
// first byte is index 0) exists only in AppendWire and ParseWire.
package bits
