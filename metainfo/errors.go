package metainfo

import "errors"

// Code says what is wrong with a torrent, a magnet or the files to make one of.
type Code uint8

// The codes.
const (
	TooBig Code = iota + 1
	NotBencoded
	NotCanonical
	NotDict
	MissingInfo
	InfoNotDict
	MagnetOnly
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
	DirectoryTooDeep
	FileParseFailed
	UnknownVersion
	MissingVersion
	MissingFileTree
	MissingPiecesRoot
	InvalidPieceLayer
	InconsistentFiles
	InvalidPadFile
	InvalidMagnet
	UnsupportedScheme
	MissingInfoHash
	InvalidInfoHash
	InvalidURL
)

// codes has for each code the name that libtorrent gives the same error (so that
// reports and test corpora can be compared) and words for a user.
var codes = [...]struct{ name, text string }{
	TooBig:             {"metadata_too_large", "too big for a torrent"},
	NotBencoded:        {"invalid_bencoding", "not a torrent file"},
	NotCanonical:       {"invalid_bencoding", "v2 torrent is not canonically encoded"},
	NotDict:            {"torrent_is_no_dict", "not a torrent file: no dictionary"},
	MissingInfo:        {"torrent_missing_info", "torrent has no info dictionary"},
	InfoNotDict:        {"torrent_info_no_dict", "torrent metadata is no dictionary"},
	MagnetOnly:         {"magnet_only", "torrent file holds only a magnet link"},
	MissingName:        {"torrent_missing_name", "torrent or file has no name"},
	MissingPieceLength: {"torrent_missing_piece_length", "torrent has no piece length"},
	InvalidPieceLength: {"torrent_missing_piece_length", "torrent has an invalid piece length"},
	InvalidLength:      {"torrent_invalid_length", "torrent has an invalid size"},
	InvalidName:        {"torrent_invalid_name", "torrent has an invalid name"},
	MissingPieces:      {"torrent_missing_pieces", "torrent has no piece hashes"},
	InvalidHashes:      {"torrent_invalid_hashes", "torrent has the wrong number of piece hashes"},
	NoFiles:            {"no_files_in_torrent", "torrent has no files"},
	TooManyFiles:       {"too_many_files", "torrent has too many files"},
	TooManyPieces:      {"too_many_pieces_in_torrent", "torrent has too many pieces"},
	TooManyDuplicates:  {"too_many_duplicate_filenames", "torrent has too many files of one name"},
	DirectoryTooDeep:   {"torrent_directory_too_deep", "torrent has folders nested too deep"},
	FileParseFailed:    {"torrent_file_parse_failed", "torrent has a broken file list"},
	UnknownVersion:     {"torrent_unknown_version", "torrent is of an unknown version"},
	MissingVersion:     {"torrent_missing_meta_version", "torrent has a v2 file tree but no meta version"},
	MissingFileTree:    {"torrent_missing_file_tree", "v2 torrent has no file tree"},
	MissingPiecesRoot:  {"torrent_missing_pieces_root", "v2 torrent has a file without pieces root"},
	InvalidPieceLayer:  {"torrent_invalid_piece_layer", "v2 torrent has an invalid piece layer"},
	InconsistentFiles:  {"torrent_inconsistent_files", "hybrid torrent: v1 and v2 describe different files"},
	InvalidPadFile:     {"torrent_invalid_pad_file", "v2 torrent has a pad file"},
	InvalidMagnet:      {"invalid_magnet", "invalid magnet link"},
	UnsupportedScheme:  {"unsupported_url_protocol", "unsupported link"},
	MissingInfoHash:    {"missing_info_hash_in_uri", "magnet link has no BitTorrent info-hash"},
	InvalidInfoHash:    {"invalid_info_hash", "invalid info-hash"},
	InvalidURL:         {"invalid_url", "invalid URL"},
}

// String is a few words of plain English for a user.
func (c Code) String() string {
	if int(c) < len(codes) && codes[c].text != "" {
		return codes[c].text
	}
	return "broken torrent"
}

// Name is libtorrent's name of the error where it has one, for logs and JSON.
func (c Code) Name() string {
	if int(c) < len(codes) && codes[c].name != "" {
		return codes[c].name
	}
	return "unknown"
}

// Error is why a torrent, an info dictionary or a magnet was refused. The fault
// is always the input's.
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

// CodeOf is the code of an *Error anywhere in err, 0 if there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
