//go:build !race && !invariants

package block

const mangle = false
