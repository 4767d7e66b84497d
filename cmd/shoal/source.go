package main

import (
	"bytes"
	"io"
	"os"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// maxTorrentFile is the largest torrent file that is read, in bytes.
const maxTorrentFile = 64 << 20

// wanted is what a SOURCE names: a torrent, or a link by which peers are found that
// have it.
type wanted struct {
	torrent *metainfo.Torrent
	link    *metainfo.Magnet // nil if there is the torrent
}

// hash is zero for a link to a torrent that changes.
func (w wanted) hash() metainfo.Hash {
	if w.torrent != nil {
		return w.torrent.Hash
	}
	return w.link.Hash
}

// name is how a person knows it; until its name is known, by its hash or key.
func (w wanted) name() string {
	switch {
	case w.torrent != nil:
		return w.torrent.Name
	case w.link.Name != "":
		return w.link.Name
	case w.link.Hash.IsZero():
		return w.link.Mutable.String()
	}
	return w.link.Hash.String()
}

// wantedSource reads a SOURCE: a torrent file, a magnet link, an info-hash, or "-" for
// standard input with a torrent file or a link in it.
func wantedSource(st streams, source string) (wanted, error) {
	if isMagnet(source) || isHash(source) {
		m, err := metainfo.ParseLink(source)
		return wanted{link: m}, err
	}
	if strings.Contains(source, "://") && !exists(source) {
		return wanted{}, unknownScheme(source)
	}
	raw, err := readSource(st, source)
	if err != nil {
		return wanted{}, err
	}
	if source == "-" {
		source = "standard input"
		if text := string(bytes.TrimSpace(raw)); isMagnet(text) || isHash(text) {
			m, err := metainfo.ParseLink(text)
			return wanted{link: m}, err
		}
	}
	t, err := metainfo.Load(raw)
	if metainfo.CodeOf(err) == metainfo.MagnetOnly {
		m, err := metainfo.MagnetIn(raw)
		return wanted{link: m}, err
	}
	if err != nil {
		return wanted{}, fail(exitBadTorrent, "%s: %w", source, err)
	}
	return wanted{torrent: t}, nil
}

// loadSource reads a SOURCE that is a torrent file, or "-" for one on standard input:
// what needs the description of a torrent and asks nobody for it.
func loadSource(st streams, source string) (*metainfo.Torrent, error) {
	w, err := wantedSource(st, source)
	switch {
	case err != nil:
		return nil, err
	case w.torrent == nil:
		return nil, fail(exitUsage, "%s: a link is not enough here; shoal magnet --resolve -o X.torrent fetches its torrent file", short(source, 80))
	}
	return w.torrent, nil
}

func unknownScheme(source string) error {
	scheme, _, _ := strings.Cut(source, "://")
	if s := strings.ToLower(scheme); s == "http" || s == "https" {
		return fail(exitUsage, "URLs of torrents come with a later version of shoal; give a torrent file")
	}
	return fail(exitUsage, "%s: unknown scheme %q: want a torrent file, magnet link, info-hash or -", source, scheme)
}

// isMagnet reports whether a SOURCE is a magnet link, right or wrong.
func isMagnet(s string) bool { return len(s) >= 7 && strings.EqualFold(s[:7], "magnet:") }

// isHash reports whether a SOURCE is an info-hash and no file.
func isHash(s string) bool {
	_, err := metainfo.ParseHash(s)
	return err == nil && !exists(s)
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
