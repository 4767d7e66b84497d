//go:build !race

package kad

const raceEnabled = false
