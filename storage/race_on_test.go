//go:build race

package storage_test

// raceFactor divides the seeds of randomised tests under the race detector, which
// is slow; it finds races in the live tests.
const raceFactor = 10
