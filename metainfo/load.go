package metainfo

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/shoal-bt/shoal/bencode"
)

const (
	// MaxTorrentSize is the largest torrent file or info dictionary, in bytes: the
	// hashes of MaxPieces are 40 MiB.
	MaxTorrentSize = 64 << 20

	// MaxFiles is how many files a torrent may have. A file takes at least seven
	// tokens, of which there may be three million.
	MaxFiles = 1 << 19

	// maxPathBytes bounds all paths together. A v2 file tree names a folder once,
	// the paths of its files name it each time.
	maxPathBytes = 64 << 20

	// maxDuplicates bounds the attempts to find new names for files of one name.
	maxDuplicates = 500

	// The most trackers, web seeds, nodes, similar torrents and collections that
	// are read from one torrent; what comes after them is ignored.
	maxTrackers = 1000
	maxWebSeeds = 1000
	maxNodes    = 200
	maxSimilar  = 1000

	// maxText is how much of a comment and the like is kept, in bytes.
	maxText = 64 << 10
)

var bencodeLimits = bencode.Limits{
	Size:   MaxTorrentSize,
	Depth:  bencode.DefaultMaxDepth,
	Tokens: bencode.DefaultMaxTokens,
}

// Options change how torrents are loaded.
type Options struct {
	// Portable makes all names fit for Windows: reserved characters, names of
	// devices, dots and spaces at the end. Load does it on Windows only, since
	// elsewhere such names are legal and other clients use them as they are.
	Portable bool
}

// DefaultOptions are those of Load and LoadInfo.
func DefaultOptions() Options { return Options{Portable: runtime.GOOS == "windows"} }

// Load reads a torrent file. It is the only way in for torrents, with LoadInfo
// beneath it: every check is made here, and hostile names are repaired rather
// than refused. Bytes after the torrent are ignored, as they are common.
//
// The Torrent keeps raw, which must not be changed. Errors are *Error. A file
// that holds only a link has code MagnetOnly, see MagnetIn.
func Load(raw []byte) (*Torrent, error) { return DefaultOptions().Load(raw) }

// LoadInfo reads an info dictionary that a peer sent (BEP 9) or that was kept.
// The verdict is the same as for a file with that dictionary. Whether it is the
// dictionary that was asked for is for the caller to say: Hash.Matches.
func LoadInfo(raw []byte) (*Torrent, error) { return DefaultOptions().LoadInfo(raw) }

// Load is like the function Load.
func (o Options) Load(raw []byte) (*Torrent, error) {
	top, err := parseFile(raw)
	if err != nil {
		return nil, err
	}
	out := readOuter(top)
	if out.info.Kind() != bencode.Dict {
		if out.magnet.Kind() == bencode.String {
			return nil, &Error{Code: MagnetOnly}
		}
		return nil, &Error{Code: MissingInfo}
	}
	t, err := o.load(out.info)
	if err != nil {
		return nil, err
	}
	if err := t.readLayers(out.layers); err != nil {
		return nil, err
	}
	t.pairs = out.pairs
	out.fill(t)
	return t, nil
}

// LoadInfo is like the function LoadInfo.
func (o Options) LoadInfo(raw []byte) (*Torrent, error) {
	info, err := bencode.Parse(raw, bencode.Options{Limits: bencodeLimits})
	if err != nil {
		return nil, notBencoded(err)
	}
	return o.load(info)
}

func (o Options) load(info bencode.Value) (*Torrent, error) {
	t, err := o.readInfo(info)
	if err != nil {
		return nil, err
	}
	if err := uniquePaths(t.Files); err != nil {
		return nil, err
	}
	t.pairs = []pair{{"info", info.Raw()}}
	return t, nil
}

// MagnetIn is the link in a torrent file of code MagnetOnly.
func MagnetIn(raw []byte) (*Magnet, error) {
	top, err := parseFile(raw)
	if err != nil {
		return nil, err
	}
	return ParseMagnet(readOuter(top).magnet.Text())
}

func parseFile(raw []byte) (bencode.Value, error) {
	v, _, err := bencode.ParsePrefix(raw, bencode.Options{Limits: bencodeLimits})
	if err != nil {
		return v, notBencoded(err)
	}
	if v.Kind() != bencode.Dict {
		return v, &Error{Code: NotDict}
	}
	return v, nil
}

func notBencoded(err error) error {
	var e *bencode.Error
	if errors.As(err, &e) && e.Code == bencode.TooBig {
		return &Error{TooBig, fmt.Sprintf("more than %d MiB", MaxTorrentSize>>20)}
	}
	return &Error{NotBencoded, err.Error()}
}
