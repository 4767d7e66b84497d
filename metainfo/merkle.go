package metainfo

import (
	"crypto/sha256"
	"fmt"

	"github.com/shoal-bt/shoal/bencode"
)

// merkleRoot is the root of BEP 52's tree over a layer of 32-byte hashes, which
// stand pad levels above the blocks. BEP 52: "The leaves are ... padded with
// zero hashes to the next power of two".
func merkleRoot(layer []byte, pad int) [32]byte {
	filler := zeroHash(pad)
	row := append([]byte(nil), layer...)
	for len(row) > sha256.Size {
		if len(row)%(2*sha256.Size) != 0 {
			row = append(row, filler[:]...)
		}
		for i := 0; i < len(row); i += 2 * sha256.Size {
			sum := sha256.Sum256(row[i : i+2*sha256.Size])
			copy(row[i/2:], sum[:])
		}
		row = row[:len(row)/2]
		filler = parentHash(filler)
	}
	return [32]byte(row)
}

// zeroHash is the hash of a subtree of absent blocks, that many levels above
// them. BEP 52: "the remaining leaf hashes beyond the end of the file ... are set
// to zero".
func zeroHash(levels int) (h [32]byte) {
	for range levels {
		h = parentHash(h)
	}
	return h
}

func parentHash(h [32]byte) [32]byte {
	var two [64]byte
	copy(two[:32], h[:])
	copy(two[32:], h[:])
	return sha256.Sum256(two[:])
}

// readLayers checks and keeps the piece layers. BEP 52: "piece layers: A
// dictionary of strings. For each file in the file tree that is larger than the
// piece size it contains one string value. The keys are the merkle roots while
// the values consist of concatenated hashes of one layer within that merkle
// tree." Layers that are missing can be had from peers; wrong ones cannot be
// there by accident.
func (t *Torrent) readLayers(v bencode.Value) error {
	if !t.Hash.HasV2 || v.Kind() != bencode.Dict {
		return nil
	}
	wanted := map[[32]byte][]FileIndex{}
	for i := range t.Files {
		if f := &t.Files[i]; f.Length > t.Lengths.PieceLen() && f.root != nil {
			wanted[*f.root] = append(wanted[*f.root], FileIndex(i))
		}
	}
	t.layers = make([][]byte, len(t.Files))
	for key, layer := range v.Dict() {
		if len(key) != sha256.Size {
			return badLayer(key, "a key is no hash")
		}
		files, ok := wanted[[32]byte(key)]
		if !ok {
			return badLayer(key, "no file has this root, or twice")
		}
		delete(wanted, [32]byte(key))
		if err := t.readLayer(files, layer); err != nil {
			return err
		}
	}
	return nil
}

// readLayer checks one layer for the files that have its root.
func (t *Torrent) readLayer(files []FileIndex, v bencode.Value) error {
	layer, ok := v.Bytes()
	root := t.Files[files[0]].root
	if !ok {
		return badLayer(root[:], "the layer is no string")
	}
	for _, i := range files {
		if pieces := (t.Files[i].Length-1)/t.Lengths.PieceLen() + 1; int64(len(layer)) != pieces*sha256.Size {
			return badLayer(root[:], fmt.Sprintf("%d bytes of hashes for %d pieces", len(layer), pieces))
		}
		t.layers[i] = layer
	}
	if merkleRoot(layer, blocksLog2(t.Lengths.PieceLen())) != *root {
		return badLayer(root[:], "the hashes do not add up to the root")
	}
	return nil
}

func badLayer(root []byte, what string) error {
	return &Error{InvalidPieceLayer, fmt.Sprintf("%.8x: %s", root, what)}
}
