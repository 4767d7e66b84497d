package main

import (
	"io"
	"os"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// maxTorrentFile is the largest torrent file that is read, in bytes.
const maxTorrentFile = 64 << 20

// loadSource reads a SOURCE that is a torrent file, or "-" for standard input.
func loadSource(io streams, source string) (*metainfo.Torrent, error) {
	switch {
	case isMagnet(source):
		if _, err := metainfo.ParseLink(source); err != nil {
			return nil, err
		}
		return nil, fileOnly("magnet links")
	case strings.Contains(source, "://") && !exists(source):
		return nil, unknownScheme(source)
	case isHash(source):
		return nil, fileOnly("info-hashes")
	}
	raw, err := readSource(io, source)
	if err != nil {
		return nil, err
	}
	if source == "-" {
		source = "standard input"
	}
	t, err := metainfo.Load(raw)
	if err != nil {
		return nil, fail(exitBadTorrent, "%s: %w", source, err)
	}
	return t, nil
}

// fileOnly refuses a kind of SOURCE that comes later.
func fileOnly(what string) error {
	return fail(exitUsage, "%s come with a later version of shoal; give a torrent file", what)
}

func unknownScheme(source string) error {
	scheme, _, _ := strings.Cut(source, "://")
	if s := strings.ToLower(scheme); s == "http" || s == "https" {
		return fileOnly("URLs of torrents")
	}
	return fail(exitUsage, "%s: unknown scheme %q: want a torrent file, magnet link, info-hash or -", source, scheme)
}

// isMagnet reports whether a SOURCE is a magnet link, right or wrong.
func isMagnet(s string) bool { return len(s) >= 7 && strings.EqualFold(s[:7], "magnet:") }

// isHash reports whether a SOURCE is an info-hash and no file.
func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdefABCDEF") == "" && !exists(s)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readSource(st streams, source string) ([]byte, error) {
	if source == "-" {
		raw, err := io.ReadAll(io.LimitReader(st.in, maxTorrentFile+1))
		if err == nil && len(raw) > maxTorrentFile {
			err = fail(exitBadTorrent, "standard input: no torrent file is longer than %d MiB", maxTorrentFile>>20)
		}
		return raw, err
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fail(exitBadTorrent, "%s is a folder, not a torrent file", source)
	case info.Size() > maxTorrentFile:
		return nil, fail(exitBadTorrent, "%s: no torrent file is longer than %d MiB", source, maxTorrentFile>>20)
	}
	return io.ReadAll(io.LimitReader(f, maxTorrentFile))
}
