package metainfo

import (
	"math/bits"

	"github.com/shoal-bt/shoal/bencode"
)

// Attr are the attributes of a file (BEP 47).
type Attr uint8

// The attributes.
const (
	AttrPad        Attr = 1 << iota // "p": zeros that nobody stores
	AttrSymlink                     // "l"
	AttrExecutable                  // "x"
	AttrHidden                      // "h"
)

// File is one entry of a torrent.
type File struct {
	Path   Path  // from the download folder, with the torrent's name in front if MultiFile
	Length int64 // bytes
	Offset int64 // bytes from the beginning of the payload, as Lengths counts them
	Attr   Attr

	// Target is where a symbolic link points to, like Path. A link that pointed
	// out of the torrent, to nothing or in a circle points to itself here.
	Target Path

	root *[32]byte // see Root; nil if there is none
}

// Root is the root of the file's Merkle tree (BEP 52). ok is false in v1
// torrents, and for empty files, links and padding.
func (f *File) Root() (root [32]byte, ok bool) {
	if f.root == nil {
		return root, false
	}
	return *f.root, true
}

// Pad says that the file is padding (BEP 47): part of pieces, all zeros, never
// requested alone, stored, counted or shown.
func (f *File) Pad() bool { return f.Attr&AttrPad != 0 }

// Symlink says that the file is a symbolic link to Target.
func (f *File) Symlink() bool { return f.Attr&AttrSymlink != 0 }

// BrokenLink says that the file is a symbolic link with no usable target.
func (f *File) BrokenLink() bool { return f.Symlink() && f.Target == f.Path }

// LinkText is what to write into a symbolic link: Target seen from the folder in
// which the link is.
func (f *File) LinkText() string {
	from, to := f.Path.Dir().Elements(), f.Target.Elements()
	for len(from) > 0 && len(to) > 1 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	p := ""
	for range from {
		p += "../"
	}
	for i, e := range to {
		if i > 0 {
			p += "/"
		}
		p += e
	}
	return p
}

// Torrent is a checked torrent. It is immutable and refers to the bytes that it
// was loaded from, which must not change either. Only Load, LoadInfo and With
// make one.
type Torrent struct {
	// ---- from the info dictionary, covered by Hash
	Hash      Hash
	Name      string // of the only file, or of the folder; clean
	MultiFile bool   // files are in a folder, even if there is only one
	Files     []File // in the order of the payload; pad files only if they are part of v1 pieces
	Lengths   Lengths
	Private   bool   // BEP 27
	Source    string // of cross-seeded copies, "" if not given
	SSL       bool   // an SSL torrent: peers need its certificate

	// Outer is the rest of the torrent file; empty after LoadInfo.
	Outer

	info   bencode.Value
	pieces []byte   // v1: 20 bytes each
	layers [][]byte // v2: of each file, 32 bytes each; nil where missing or not needed
	pairs  []pair   // what was in the file, for Encode
}

// Outer is what a torrent file says outside its info dictionary. It can be
// changed without changing the info-hash.
type Outer struct {
	Trackers     [][]string // tiers (BEP 12)
	Nodes        []HostPort // of the DHT (BEP 5)
	WebSeeds     []string   // url-list (BEP 19)
	HTTPSeeds    []string   // httpseeds (BEP 17), kept but of no use to us
	Comment      string
	CreatedBy    string
	CreationDate int64      // seconds since 1970 UTC, 0 if not given
	Similar      [][20]byte // BEP 38, also those of the info dictionary
	Collections  []string   // BEP 38, likewise
}

// HostPort is a host name or literal address, and a port.
type HostPort struct {
	Host string
	Port uint16
}

// pair is a key of the torrent file and its bencoded value.
type pair struct {
	key   string
	value []byte
}

// Info is the info dictionary, byte for byte. The caller must not change it.
func (t *Torrent) Info() []byte { return t.info.Raw() }

// Size is the number of bytes in all files without padding.
func (t *Torrent) Size() int64 {
	var n int64
	for i := range t.Files {
		if !t.Files[i].Pad() {
			n += t.Files[i].Length
		}
	}
	return n
}

// PieceHash is the SHA-1 of piece p. ok is false in a torrent without v1, and
// when there is no such piece.
func (t *Torrent) PieceHash(p PieceIndex) (sum [20]byte, ok bool) {
	if !t.Lengths.Valid(p) || !t.Hash.HasV1 {
		return sum, false
	}
	return [20]byte(t.pieces[20*int(p):]), true
}

// PieceLayer is the Merkle layer of file f at the level of pieces: 32 bytes a
// piece. For a file of at most one piece that is its root. It is nil for v1
// torrents, empty files, and where the torrent came without it: then the hashes
// have to be asked of peers. The caller must not change it.
func (t *Torrent) PieceLayer(f FileIndex) []byte {
	if f < 0 || int(f) >= len(t.Files) || !t.Hash.HasV2 {
		return nil
	}
	file := &t.Files[f]
	switch {
	case file.root == nil:
		return nil
	case file.Length <= t.Lengths.PieceLen():
		return file.root[:]
	case t.layers == nil:
		return nil
	}
	return t.layers[f]
}

// LayersComplete says that the piece layer of every file is known. It is true
// for v1 torrents.
func (t *Torrent) LayersComplete() bool {
	for i := range t.Files {
		f := &t.Files[i]
		if t.Hash.HasV2 && !f.Pad() && f.Length > 0 && t.PieceLayer(FileIndex(i)) == nil {
			return false
		}
	}
	return true
}

// Magnet is a link to this torrent: hashes, name, size, trackers and web seeds.
func (t *Torrent) Magnet() *Magnet {
	return &Magnet{Hash: t.Hash, Name: t.Name, Length: t.Size(), Trackers: t.Trackers, WebSeeds: t.WebSeeds}
}

// blocksLog2 is the number of Merkle levels between blocks and pieces.
func blocksLog2(pieceLen int64) int { return bits.TrailingZeros64(uint64(pieceLen / BlockSize)) }
