package storage

import "github.com/shoal-bt/shoal/metainfo"

// ErrShort is what tests outside of the package look for.
var ErrShort = errShort

// PieceAt is a piece's index.
func PieceAt(i int32) metainfo.PieceIndex { return metainfo.PieceIndex(i) }
