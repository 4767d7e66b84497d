package main

import (
	"os"
	"strings"

	"github.com/shoal-bt/shoal/internal/clients"
)

// The rows of uTP are those of TCP with another transport on both sides, where
// libtorrent against itself is a row of its own.
const (
	utpPrefix = "utp-"
	// anacrolix is shoal with its other implementation of uTP.
	anacrolix = "shoal-anacrolix"
)

var utpRows = []string{utpPrefix + "self", utpPrefix + "leech", utpPrefix + "seed"}

// withUTP replaces the row "utp" by those that it stands for.
func withUTP(rows []string) (out []string) {
	for _, r := range rows {
		if r == "utp" {
			out = append(out, utpRows...)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// pointless reports whether a cell would repeat another, or needs what a client can't.
func pointless(row, client string) bool {
	kind, isUTP := strings.CutPrefix(row, utpPrefix)
	switch {
	case !isUTP:
		return client == anacrolix
	case client == "libtorrent":
		return kind != "self"
	}
	return client != "shoal" && client != anacrolix
}

// overUTP makes a client speak uTP alone, unencrypted; others cannot be told to.
func (b *bench) overUTP(c clients.Client) clients.Client {
	if s, ok := c.(clients.Shoal); ok {
		s.Flags = append([]string{"--transport", "utp", "--encryption", "off"}, s.Flags...)
		return s
	}
	return c
}

// anacrolixUTP is shoal by the other implementation.
func (b *bench) anacrolixUTP() clients.Client {
	return clients.Shoal{Bin: os.Getenv("SHOAL_BIN"),
		Flags: append([]string{"--transport", "utp-anacrolix", "--encryption", "off"}, b.opts.shoalFlags...)}
}
