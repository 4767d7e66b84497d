//go:build race

package kad

// raceEnabled: the detector costs ten times, and a world of one goroutine has
// little to detect.
const raceEnabled = true
