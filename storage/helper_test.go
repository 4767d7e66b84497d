package storage

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
)

// TestFile is a file of a torrent made for a test: path, length and attributes.
type TestFile struct {
	Path string
	N    int64
	Attr string
	Link string
}

// TestTorrent is a torrent and its payload, pad files included.
type TestTorrent struct {
	*metainfo.Torrent
	Data []byte
}

// MakeTorrent makes a torrent of files with random content. A single file without
// a slash makes a single-file torrent.
func MakeTorrent(t testing.TB, pieceLen int64, seed uint64, files ...TestFile) *TestTorrent {
	t.Helper()
	var data []byte
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rng := rand.NewChaCha8(key)
	for _, f := range files {
		b := make([]byte, f.N)
		if !strings.Contains(f.Attr, "p") {
			_, _ = rng.Read(b) // never fails
		}
		data = append(data, b...)
	}
	var pieces []byte
	for off := int64(0); off < int64(len(data)); off += pieceLen {
		sum := sha1.Sum(data[off:min(off+pieceLen, int64(len(data)))])
		pieces = append(pieces, sum[:]...)
	}
	tor, err := metainfo.LoadInfo(infoDict(files, pieceLen, pieces))
	if err != nil {
		t.Fatalf("the test's torrent is wrong: %v", err)
	}
	return &TestTorrent{tor, data}
}

func infoDict(files []TestFile, pieceLen int64, pieces []byte) []byte {
	var b bytes.Buffer
	b.WriteByte('d')
	single := len(files) == 1 && !strings.Contains(files[0].Path, "/")
	if !single {
		b.WriteString("5:filesl")
		for _, f := range files {
			b.WriteByte('d')
			if f.Attr != "" {
				fmt.Fprintf(&b, "4:attr%s", bstr(f.Attr))
			}
			fmt.Fprintf(&b, "6:lengthi%de4:pathl", f.N)
			for e := range strings.SplitSeq(f.Path, "/") {
				b.WriteString(bstr(e))
			}
			b.WriteByte('e')
			if f.Link != "" {
				b.WriteString("12:symlink pathl")
				for e := range strings.SplitSeq(f.Link, "/") {
					b.WriteString(bstr(e))
				}
				b.WriteByte('e')
			}
			b.WriteByte('e')
		}
		b.WriteByte('e')
	} else {
		fmt.Fprintf(&b, "6:lengthi%de", files[0].N)
	}
	name := "t"
	if single {
		name = files[0].Path
	}
	fmt.Fprintf(&b, "4:name%s12:piece lengthi%de6:pieces%d:%s", bstr(name), pieceLen, len(pieces), pieces)
	b.WriteByte('e')
	return b.Bytes()
}

func bstr(s string) string { return fmt.Sprintf("%d:%s", len(s), s) }

// Piece returns the payload of a piece.
func (tt *TestTorrent) Piece(p metainfo.PieceIndex) []byte {
	off := tt.Lengths.PieceOffset(p)
	return tt.Data[off : off+tt.Lengths.PieceSize(p)]
}

// Block leases a slot with the content of a block.
func (tt *TestTorrent) Block(slab *block.Slab, p metainfo.PieceIndex, b metainfo.BlockIndex) *block.Block {
	slot := slab.LeaseWait(nil)
	n := tt.Lengths.BlockLen(p, b)
	slot.SetLen(int(n))
	if !slot.Phantom() {
		copy(slot.Bytes(), tt.Piece(p)[int64(b)*block.Size:])
	}
	return slot
}

// Entries are all blocks of a piece.
func (tt *TestTorrent) Entries(slab *block.Slab, p metainfo.PieceIndex) (out []Entry) {
	for b := range metainfo.BlockIndex(tt.Lengths.Blocks(p)) {
		out = append(out, Entry{p, b, tt.Block(slab, p, b)})
	}
	return out
}

// FileData is the content that file i must have.
func (tt *TestTorrent) FileData(i int) []byte {
	f := &tt.Files[i]
	return tt.Data[f.Offset : f.Offset+f.Length]
}

// PhantomTorrent is a torrent of one file whose payload does not exist.
func PhantomTorrent(t testing.TB, pieceLen, size int64, pieces []byte) *metainfo.Torrent {
	t.Helper()
	tor, err := metainfo.LoadInfo(infoDict([]TestFile{{Path: "x", N: size}}, pieceLen, pieces))
	if err != nil {
		t.Fatal(err)
	}
	return tor
}
