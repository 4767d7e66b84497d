// Package memfs is a file system in memory for storage, with the faults that real
// ones have: it can be full, fail at a chosen call, lose power and keep only what
// was synced. It is what the simulator and storage's tests run on.
//
// Power cuts follow this model: of writes that were not synced any subset may be
// on the disk, cut at multiples of 512 bytes; names are made, changed and removed
// in order, and some of the last changes are lost unless their folder was synced.
package memfs
