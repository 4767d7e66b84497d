package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/bencode"
)

// MetadataPiece is the size in bytes of every piece of metadata but the last. BEP 9:
// "The metadata is handled in blocks of 16KiB (16384 Bytes)."
const MetadataPiece = 16384

// MetadataKind says what a metadata message is.
type MetadataKind uint8

// The kinds of BEP 9. Others "MUST be ignored" by whoever reads them.
const (
	MetadataRequest MetadataKind = 0
	MetadataData    MetadataKind = 1
	MetadataReject  MetadataKind = 2
)

// String names the kind as BEP 9 does.
func (k MetadataKind) String() string {
	switch k {
	case MetadataRequest:
		return "request"
	case MetadataData:
		return "data"
	case MetadataReject:
		return "reject"
	}
	return fmt.Sprintf("metadata message %d", uint8(k))
}

// MetadataMsg is a message of ut_metadata (BEP 9).
type MetadataMsg struct {
	Kind  MetadataKind
	Piece int32  // 0 to MaxMetadataPieces-1
	Total int64  // of data: bytes of the whole metadata; 0 if the sender did not say
	Data  []byte // of data: the piece, at most MetadataPiece bytes
}

// Caps on metadata messages.
const (
	// MaxMetadataPieces bounds the index of a piece: 64 MiB of metadata.
	MaxMetadataPieces   = maxMetadataSize / MetadataPiece
	maxMetadataHead     = 1 << 10 // bytes of the dictionary; real ones have 25 to 60
	maxMetadataTokens   = 64
	maxMetadataNesting  = 4
	maxMetadataKindCode = 255
)

// ErrMetadata says that a message is not one of BEP 9's.
var ErrMetadata = errors.New("bad metadata message")

// ParseMetadata reads the payload of an extended message of ut_metadata. Data is a
// view of b. The error wraps ErrMetadata: no dictionary, no kind or piece in it, a
// piece or size out of range, or too much data.
func ParseMetadata(b []byte) (MetadataMsg, error) {
	head := b[:min(len(b), maxMetadataHead)]
	v, rest, err := bencode.ParsePrefix(head, bencode.Options{
		Limits: bencode.Limits{Size: maxMetadataHead, Depth: maxMetadataNesting, Tokens: maxMetadataTokens},
	})
	if err != nil {
		return MetadataMsg{}, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	kind, okKind := v.Get("msg_type").Int()
	piece, okPiece := v.Get("piece").Int()
	switch {
	case !okKind || !okPiece:
		return MetadataMsg{}, fmt.Errorf("%w: no kind, or no piece", ErrMetadata)
	case kind < 0 || kind > maxMetadataKindCode:
		return MetadataMsg{}, fmt.Errorf("%w: kind %d", ErrMetadata, kind)
	case piece < 0 || piece >= MaxMetadataPieces:
		return MetadataMsg{}, fmt.Errorf("%w: piece %d", ErrMetadata, piece)
	}
	m := MetadataMsg{Kind: MetadataKind(kind), Piece: int32(piece)}
	if m.Kind != MetadataData {
		return m, nil
	}
	// Parsed into a bounded type at once: negative and absurd sizes never get further.
	total, said := v.Get("total_size").Int()
	if said && (total <= 0 || total > maxMetadataSize) {
		return MetadataMsg{}, fmt.Errorf("%w: size %d", ErrMetadata, total)
	}
	m.Total, m.Data = total, b[len(head)-len(rest):]
	if len(m.Data) == 0 || len(m.Data) > MetadataPiece {
		return MetadataMsg{}, fmt.Errorf("%w: %d bytes of data", ErrMetadata, len(m.Data))
	}
	return m, nil
}

// AppendMetadata appends m as the payload of an extended message.
func AppendMetadata(dst []byte, m MetadataMsg) []byte {
	dst = append(dst, 'd')
	dst = bencode.AppendInt(bencode.AppendString(dst, "msg_type"), int64(m.Kind))
	dst = bencode.AppendInt(bencode.AppendString(dst, "piece"), int64(m.Piece))
	if m.Kind == MetadataData {
		dst = bencode.AppendInt(bencode.AppendString(dst, "total_size"), m.Total)
	}
	dst = append(dst, 'e')
	return append(dst, m.Data...)
}

// MetadataPieces is how many pieces metadata of so many bytes has.
func MetadataPieces(size int64) int32 { return int32((size + MetadataPiece - 1) / MetadataPiece) }

// MetadataPieceSize is the size of piece i of metadata of size bytes, 0 when there is
// no such piece. BEP 9: "If it is not the last piece of the metadata, it MUST be 16kiB."
func MetadataPieceSize(size int64, i int32) int {
	if i < 0 || i >= MetadataPieces(size) {
		return 0
	}
	return int(min(MetadataPiece, size-int64(i)*MetadataPiece))
}

// AppendDontHave appends the payload of lt_donthave: "Index is the four-byte index of
// the piece that is no longer available at the sender" (BEP 54).
func AppendDontHave(dst []byte, piece uint32) []byte {
	return binary.BigEndian.AppendUint32(dst, piece)
}

// ParseDontHave reads the payload of lt_donthave.
func ParseDontHave(b []byte) (piece uint32, err error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("%w: %v of %d bytes, want 4", ErrLength, ExtDontHave, len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}
