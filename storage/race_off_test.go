//go:build !race

package storage_test

const raceFactor = 1
