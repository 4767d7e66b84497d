package metainfo

// Code says what is wrong with a torrent, a magnet or the files to make one of.
// The words follow libtorrent's error names, so that reports can be compared.
type Code uint8

// The codes. Each has one line of plain English (Code.String).
const (
	ParseFailed Code = iota + 1
	TooBig
	NotBencoded
	NotDict
	MissingInfo
	MissingName
	MissingPieceLength
	InvalidPieceLength
	InvalidLength
	InvalidName
	MissingPieces
	InvalidHashes
	NoFiles
	TooManyFiles
	TooManyPieces
	TooManyDuplicates
	FileParseFailed
	UnknownVersion
	MissingFileTree
	MissingPiecesRoot
	InvalidPieceLayer
	InconsistentFiles
	InconsistentHashes
	InvalidPadFile
	InvalidMagnet
	UnsupportedScheme
	MissingInfoHash
	InvalidInfoHash
)

var codeText = [...]string{
	ParseFailed:        "broken torrent",
	TooBig:             "too big for a torrent file",
	NotBencoded:        "not a torrent file (not bencoded)",
	NotDict:            "not a torrent file (no dictionary)",
	MissingInfo:        "torrent has no info dictionary",
	MissingName:        "torrent has no name",
	MissingPieceLength: "torrent has no piece length",
	InvalidPieceLength: "torrent has an invalid piece length",
	InvalidLength:      "torrent has an invalid size",
	InvalidName:        "torrent has an invalid name",
	MissingPieces:      "torrent has no piece hashes",
	InvalidHashes:      "torrent has the wrong number of piece hashes",
	NoFiles:            "torrent has no files",
	TooManyFiles:       "torrent has too many files",
	TooManyPieces:      "torrent has too many pieces",
	TooManyDuplicates:  "torrent has too many files of one name",
	FileParseFailed:    "torrent has a broken file list",
	UnknownVersion:     "torrent has an unknown meta version",
	MissingFileTree:    "v2 torrent has no file tree",
	MissingPiecesRoot:  "v2 torrent has a file without pieces root",
	InvalidPieceLayer:  "v2 torrent has an invalid piece layer",
	InconsistentFiles:  "hybrid torrent: v1 and v2 list different files",
	InconsistentHashes: "hybrid torrent: v1 and v2 hashes disagree",
	InvalidPadFile:     "torrent has an invalid pad file",
	InvalidMagnet:      "invalid magnet link",
	UnsupportedScheme:  "unsupported link scheme",
	MissingInfoHash:    "magnet link has no info-hash",
	InvalidInfoHash:    "invalid info-hash",
}

// String is one line without a full stop, fit for a user.
func (c Code) String() string {
	if int(c) < len(codeText) && codeText[c] != "" {
		return codeText[c]
	}
	return "broken torrent"
}

// Error is why a torrent, an info dictionary or a magnet was refused. The fault
// is the input's: nothing was read or written by this package.
type Error struct {
	Code   Code
	Detail string // what and where, may be empty; hostile text in it is quoted
}

// Error is one line: the code's words, then the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Detail
}
