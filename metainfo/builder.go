package metainfo

import (
	"fmt"
	"slices"

	"github.com/shoal-bt/shoal/bencode"
)

const (
	// AutoPieceLength aims at no more than this many pieces,
	autoPieces = 2000
	// but makes no piece longer than this for it, in bytes: some trackers and
	// clients do not like more.
	autoMaxPieceLen = 16 << 20
)

// Builder is a v1 torrent to be made. It reads no files: see package create.
// Fill in what the torrent describes, ask Lengths how many pieces there are,
// hash them, and Build.
type Builder struct {
	Name        string
	Files       []BuildFile // nil for a torrent of one file without a folder
	Length      int64       // bytes of that file
	PieceLength int64       // bytes; 0 means AutoPieceLength
	Private     bool
	Source      string // makes the info-hash differ from that of the same data elsewhere
	Pieces      []byte // SHA-1 of all pieces, see PieceHasher
	Outer       Outer
}

// BuildFile is a file in the folder Name.
type BuildFile struct {
	Path   []string // below the folder
	Length int64    // bytes; 0 for a symbolic link
	Attr   Attr
	Target []string // of a symbolic link, seen from the folder
}

// AutoPieceLength is a good piece length for a payload of total bytes: a power of
// two, 16 KiB at least.
func AutoPieceLength(total int64) int64 {
	n := int64(BlockSize)
	for total/n >= autoPieces && n < autoMaxPieceLen || total/n >= MaxPieces && n < MaxPieceLen/2 {
		n *= 2
	}
	return n
}

// Total is the number of bytes in all files.
func (b *Builder) Total() int64 {
	n := b.Length
	for _, f := range b.Files {
		n += f.Length
	}
	return n
}

// Lengths divides the payload into pieces.
func (b *Builder) Lengths() (Lengths, error) {
	n := b.PieceLength
	if n == 0 {
		n = AutoPieceLength(b.Total())
	}
	return NewLengths(b.Total(), n)
}

// Build makes the torrent and checks it like any other. It must come out as
// described: a name that the loader would repair is an error of code InvalidName
// that says which, since nobody would find the file again.
func (b *Builder) Build() (*Torrent, error) {
	if err := b.checkURLs(); err != nil {
		return nil, err
	}
	info, err := b.info()
	if err != nil {
		return nil, err
	}
	t, err := Options{}.LoadInfo(info)
	if err != nil {
		return nil, err
	}
	if err := b.compare(t); err != nil {
		return nil, err
	}
	return t.With(b.Outer), nil
}

func (b *Builder) checkURLs() error {
	for _, u := range slices.Concat(b.Outer.Trackers...) {
		if !validTracker(u) {
			return &Error{InvalidURL, fmt.Sprintf("%s is no tracker (http, https or udp)", quote(u))}
		}
	}
	for _, u := range b.Outer.WebSeeds {
		if _, ok := cleanWebSeed(u, false); !ok {
			return &Error{InvalidURL, fmt.Sprintf("%s is no web seed (http or https)", quote(u))}
		}
	}
	return nil
}

// info encodes the info dictionary (BEP 3, 27, 47).
func (b *Builder) info() ([]byte, error) {
	l, err := b.Lengths()
	if err != nil {
		return nil, err
	}
	m := bencode.M{"name": b.Name, "piece length": l.PieceLen(), "pieces": b.Pieces}
	if b.Private {
		m["private"] = 1
	}
	if b.Source != "" {
		m["source"] = b.Source
	}
	if b.Files == nil {
		m["length"] = b.Length
	} else {
		m["files"] = listOf(b.Files, func(f BuildFile) any { return f.dict() })
	}
	return bencode.Encode(m)
}

func (f BuildFile) dict() bencode.M {
	m := bencode.M{"length": f.Length, "path": f.Path}
	if s := f.Attr.String(); s != "" {
		m["attr"] = s
	}
	if f.Attr&AttrSymlink != 0 {
		m["symlink path"] = f.Target
	}
	return m
}

// String is the attributes as BEP 47 writes them, such as "hx".
func (a Attr) String() string {
	s := ""
	for _, l := range []struct {
		bit    Attr
		letter string
	}{{AttrHidden, "h"}, {AttrSymlink, "l"}, {AttrPad, "p"}, {AttrExecutable, "x"}} {
		if a&l.bit != 0 {
			s += l.letter
		}
	}
	return s
}

// compare checks that t has the names and links that were asked for.
func (b *Builder) compare(t *Torrent) error {
	if b.Files == nil {
		return sameName(Path{b.Name}, t.Files[0].Path)
	}
	for i, f := range b.Files {
		if err := sameName(rawPath(b.Name, f.Path), t.Files[i].Path); err != nil {
			return err
		}
		if want := rawPath(b.Name, f.Target); f.Attr&AttrSymlink != 0 && t.Files[i].Target != want {
			return &Error{InvalidName, fmt.Sprintf("symbolic link %s points to %s, which is not in the torrent", quote(t.Files[i].Path.s), quote(want.s))}
		}
	}
	return nil
}

// rawPath joins what may not be clean, only to compare it.
func rawPath(name string, elements []string) Path {
	s := name
	for _, e := range elements {
		s += "/" + e
	}
	return Path{s}
}

func sameName(want, got Path) error {
	if want == got {
		return nil
	}
	return &Error{InvalidName, fmt.Sprintf("%s would become %s on download; rename it", quote(want.s), quote(got.s))}
}
