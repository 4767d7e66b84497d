package metainfo

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/shoal-bt/shoal/bencode"
)

// infoDict holds the values of an info dictionary that we know. Of repeated
// keys the first counts.
type infoDict struct {
	version, pieceLen, private int64 // -1 -1 0 if absent or no integer
	name, nameUTF8             bencode.Value
	files, fileTree, length    bencode.Value
	pieces, source, ssl        bencode.Value
	similar, collections       bencode.Value
	single                     fileDict // the dictionary seen as its only file
}

func (d *infoDict) field(key string) *bencode.Value {
	switch key {
	case "name":
		return &d.name
	case "name.utf-8":
		return &d.nameUTF8
	case "files":
		return &d.files
	case "file tree":
		return &d.fileTree
	case "length":
		return &d.length
	case "pieces":
		return &d.pieces
	case "source":
		return &d.source
	case "ssl-cert":
		return &d.ssl
	case "similar":
		return &d.similar
	case "collections":
		return &d.collections
	}
	return nil
}

func readInfoDict(info bencode.Value) infoDict {
	var d infoDict
	var version, pieceLen, private bencode.Value
	for k, v := range info.Dict() {
		dst := d.field(string(k))
		switch string(k) {
		case "meta version":
			dst = &version
		case "piece length":
			dst = &pieceLen
		case "private":
			dst = &private
		}
		if dst != nil && dst.Kind() == bencode.None {
			*dst = v
		}
	}
	d.version, d.pieceLen, d.private = intOr(version, -1), intOr(pieceLen, -1), intOr(private, 0)
	d.single = readFileDict(info)
	return d
}

// intOr is an integer, or def if v is absent, another kind or too big.
func intOr(v bencode.Value, def int64) int64 {
	if n, ok := v.Int(); ok {
		return n
	}
	return def
}

// readInfo checks an info dictionary and makes a Torrent of it. The order of the
// checks decides which error a torrent with several faults has.
func (o Options) readInfo(info bencode.Value) (*Torrent, error) {
	if info.Kind() != bencode.Dict {
		return nil, &Error{Code: InfoNotDict}
	}
	d := readInfoDict(info)
	if err := d.checkVersion(info); err != nil {
		return nil, err
	}
	if err := d.checkPieceLen(); err != nil {
		return nil, err
	}
	t := &Torrent{info: info, Private: d.private != 0, Source: cut(validText(d.source.Text())), SSL: d.ssl.Kind() == bencode.String}
	t.Hash.V1, t.Hash.V2 = SumInfo(info.Raw())
	l := fileList{portable: o.Portable, pieceLen: d.pieceLen}
	if err := l.setName(&d, t.Hash); err != nil {
		return nil, err
	}
	if err := t.readFiles(&d, l); err != nil {
		return nil, err
	}
	t.setName(&d)
	t.readSimilar(d.similar, d.collections)
	return t, t.readPieces(&d)
}

// checkVersion refuses versions that we do not know. BEP 52: "Clients must reject
// torrents with a meta version they do not understand". From version 1 on the
// key is there, the dictionary must be canonical.
func (d *infoDict) checkVersion(info bencode.Value) error {
	if d.version <= 0 {
		return nil
	}
	if err := info.Canonical(); err != nil {
		return &Error{NotCanonical, err.Error()}
	}
	if d.version > 2 {
		return &Error{UnknownVersion, fmt.Sprintf("meta version %d", d.version)}
	}
	return nil
}

// v2 says that the torrent is v2 or hybrid.
func (d *infoDict) v2() bool { return d.version == 2 }

// checkPieceLen checks the piece length before anything is divided by it. BEP 52:
// "It must be a power of two and at least 16KiB."
func (d *infoDict) checkPieceLen() error {
	n := d.pieceLen
	switch {
	case n == -1:
		return &Error{Code: MissingPieceLength}
	case n < 1 || n > MaxPieceLen:
		return badPieceLen(n)
	case d.v2() && (n < BlockSize || n&(n-1) != 0):
		return &Error{InvalidPieceLength, fmt.Sprintf("piece length %d of a v2 torrent is not a power of two from 16 KiB on", n)}
	}
	return nil
}

// readFiles fills Files, Lengths and what of Hash is real.
func (t *Torrent) readFiles(d *infoDict, l fileList) (err error) {
	v1, v2 := l, l
	multi := d.files.Kind() == bencode.List
	hasV1 := multi || !d.v2() || d.length.Kind() != bencode.None
	if d.v2() {
		v2.padded = hasV1
		if err := v2.readTree(d.fileTree, multi); err != nil {
			return err
		}
	} else if d.fileTree.Kind() == bencode.Dict {
		return &Error{Code: MissingVersion}
	}
	if multi {
		err = v1.readFiles(d.files)
	} else if hasV1 {
		err = v1.readSingle(d)
	}
	if err != nil {
		return err
	}
	t.MultiFile = multi || d.v2() && v2.multi
	return t.setFiles(d, v1, v2, hasV1)
}

func (t *Torrent) setFiles(d *infoDict, v1, v2 fileList, hasV1 bool) (err error) {
	switch {
	case !d.v2():
		t.Files = v1.files
	case !hasV1:
		t.Files = v2.files
	default:
		t.Files, err = mergeHybrid(v1, v2)
	}
	if err != nil {
		return err
	}
	if len(t.Files) == 0 {
		return &Error{Code: NoFiles}
	}
	t.Lengths, err = lengthsOf(t.Files, d, hasV1)
	t.setHash(d, hasV1)
	return err
}

// lengthsOf gives v1 and hybrid torrents contiguous pieces, with the pad files of
// hybrids inside, and pure v2 torrents pieces that begin with each file.
func lengthsOf(files []File, d *infoDict, hasV1 bool) (Lengths, error) {
	if hasV1 {
		last := files[len(files)-1]
		return NewLengths(last.Offset+last.Length, d.pieceLen)
	}
	sizes := make([]int64, len(files))
	for i := range files {
		sizes[i] = files[i].Length
	}
	return NewAligned(sizes, d.pieceLen)
}

// setHash keeps the hashes that the torrent really has: a hybrid without piece
// hashes could not be verified by v1 peers.
func (t *Torrent) setHash(d *infoDict, hasV1 bool) {
	t.Hash.HasV1 = hasV1 && (!d.v2() || d.pieces.Kind() == bencode.String)
	t.Hash.HasV2 = d.v2()
	if !t.Hash.HasV1 {
		t.Hash.V1 = [20]byte{}
	}
	if !t.Hash.HasV2 {
		t.Hash.V2 = [32]byte{}
	}
}

// setName shows the folder, or the only file.
func (t *Torrent) setName(d *infoDict) {
	t.Name = t.Files[0].Path.Elements()[0]
	if i := slices.IndexFunc(t.Files, func(f File) bool { return !f.Pad() }); i >= 0 {
		t.Name = t.Files[i].Path.Elements()[0]
	}
}

// readPieces checks the v1 hashes. BEP 3: "pieces maps to a string whose length is
// a multiple of 20. It is to be subdivided into strings of length 20".
func (t *Torrent) readPieces(d *infoDict) error {
	pieces, ok := d.pieces.Bytes()
	if !ok {
		if d.v2() {
			return nil
		}
		return &Error{Code: MissingPieces}
	}
	if want := int64(t.Lengths.Pieces()) * 20; int64(len(pieces)) != want {
		return &Error{InvalidHashes, fmt.Sprintf("%d bytes of hashes for %d pieces", len(pieces), t.Lengths.Pieces())}
	}
	t.pieces = pieces
	return nil
}

// setName cleans the torrent's name, which is the folder of a multi-file torrent.
// If nothing is left of it, the info-hash takes its place.
func (l *fileList) setName(d *infoDict, h Hash) error {
	v := nameOf(d)
	if v.Kind() != bencode.String {
		return &Error{Code: MissingName}
	}
	name := v.Text()
	if name == "" {
		name = "_"
	}
	l.root = cleanElement(name, l.portable)
	if l.root == "" {
		l.root = hex.EncodeToString(h.V1[:])
	}
	return nil
}

// nameOf prefers the name that says it is UTF-8.
func nameOf(d *infoDict) bencode.Value {
	if d.nameUTF8.Kind() == bencode.String {
		return d.nameUTF8
	}
	if d.name.Kind() == bencode.String {
		return d.name
	}
	return bencode.Value{}
}

// cut bounds a text, at the border of a rune.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return validText(s[:maxText])
}
