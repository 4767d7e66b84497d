//go:build race

package utpnative

const raceEnabled = true
