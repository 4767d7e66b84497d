package storage

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
)

// Message is what the storage actor takes. Who sends what is said at each; every
// request is answered exactly once, at its torrent's or its own Reply.
type Message interface{ storageMsg() }

// Answer is what a torrent hears from storage, all at the Reply it gave in Open.
type Answer interface{ storageAnswer() }

// ID names a torrent towards storage; its owner chooses it, unique in the session.
type ID uint64

// Allocation says how files are given their space.
type Allocation uint8

// Allocations.
const (
	Fallocate Allocation = iota // reserved before the first write; sparse where it can't be had or does no good
	Sparse                      // as written
)

// Open begins a torrent's stay. From: torrent, first of all. Answered by Opened.
// Until Closed the torrent may send everything below.
type Open struct {
	ID      ID
	Info    *metainfo.Torrent
	Dir     string // where the torrent's files or folder go
	Options Options
	Reply   actor.Ref[Answer]
}

// Options of one torrent.
type Options struct {
	Allocation       Allocation
	IncompleteDir    string                        // if set, files lie here until they are complete
	IncompleteSuffix string                        // such as ".part"; "" for none
	Priority         []uint8                       // by file, 0 = not wanted; nil: all wanted
	Renamed          map[metainfo.FileIndex]string // paths given by the user, relative to Dir
	Check            bool                          // trust no record: hash what is there
	ReadOnly         bool                          // seeding: never create or change files
}

// Opened answers Open. After an Err nothing is open.
type Opened struct {
	ID       ID
	Err      error
	Dir      string    // where the payload is; not Open's Dir if a move ended unnoticed
	Have     *bits.Set // verified pieces, a copy that the torrent owns
	Partials []Partial // blocks on disk of unfinished pieces
	Unknown  *bits.Set // pieces to be hashed before they can be trusted; nil: none
	Saved    []byte    // the last Save of this torrent, nil if none
}

// Partial names the blocks of one unfinished piece that are stored already.
type Partial struct {
	Piece  metainfo.PieceIndex
	Blocks *bits.Set
}

// Blocks hands in what peers have delivered: one message per drain. The torrent
// sends each block once; a piece whose last block arrives is hashed, and if good
// written. Answered by one PieceDone per piece completed. Bound: the slab.
type Blocks struct {
	ID      ID
	Entries []Entry
}

// Entry is one block of a piece. The slot goes with it.
type Entry struct {
	Piece metainfo.PieceIndex
	Block metainfo.BlockIndex
	Data  *block.Block
}

// PieceDone says what became of a piece.
type PieceDone struct {
	ID    ID
	Piece metainfo.PieceIndex
	// OK: verified and written. Otherwise all its blocks must be fetched again:
	// with Err nil the hash was wrong; with Err it could not be stored, which is
	// the disk's fault, and a Trouble has been sent.
	OK  bool
	Err error
	// Sums of a piece whose hash was wrong: xxhash64 of each block, so that the
	// torrent can tell later who sent the bad one.
	Sums []uint64
	// Kept is set together with Err when storage keeps the verified piece and
	// writes it by itself as soon as it can: PieceDone comes again then.
	Kept bool
}

// Read asks for payload to upload. From: peers, straight. It is pooled by its
// sender and comes back as its own answer at Reply, with Blocks, or with Err and none. Bound: the peer's
// window. A long read is split by the sender into runs of at most 256 KiB.
type Read struct {
	ID     ID
	Piece  metainfo.PieceIndex
	Begin  int64          // a multiple of block.Size unless Length <= block.Size
	Length int64          // <= 256 KiB
	Blocks []*block.Block // sealed, consecutive, each block.Size long but the last
	Err    error
	Cookie uint64 // the sender's own
	Reply  actor.Ref[*Read]
}

// Drop releases what was read for somebody who is gone.
func (r *Read) Drop() {
	for _, b := range r.Blocks {
		b.Release()
	}
	r.Blocks = r.Blocks[:0]
}

// Sum asks for the xxhash64 of each block of a piece that was verified just now,
// to find the liar of an earlier failure. Answered by Sums.
type Sum struct {
	ID    ID
	Piece metainfo.PieceIndex
}

// Sums answers Sum.
type Sums struct {
	ID    ID
	Piece metainfo.PieceIndex
	Sums  []uint64
	Err   error
}

// Stall asks to be told when the slab has room again, below its low mark. From:
// torrent, when it stopped asking for blocks at the high mark. Answered by Resume,
// at once if there is room. Window: 1.
type Stall struct{ ID ID }

// Resume answers Stall.
type Resume struct{ ID ID }

// Verify hashes pieces on disk: those in Pieces, or all. Answered by Checked,
// many, and one CheckDone. Window: 1.
type Verify struct {
	ID     ID
	Pieces *bits.Set // nil: all
}

// Checked is progress of Verify.
type Checked struct {
	ID    ID
	Piece metainfo.PieceIndex
	OK    bool
}

// CheckDone ends Verify.
type CheckDone struct {
	ID     ID
	Have   *bits.Set
	Hashed int64 // bytes hashed
	Err    error
}

// Select changes which files are wanted. Answered by Done.
type Select struct {
	ID       ID
	Priority []uint8
	Cookie   uint64
}

// Move moves the payload to another folder, also across devices, while reads and
// writes go on. Answered by Done.
type Move struct {
	ID     ID
	Dir    string
	Cookie uint64
}

// Rename gives a file another path below the torrent's Dir. Answered by Done.
type Rename struct {
	ID     ID
	File   metainfo.FileIndex
	Path   string
	Cookie uint64
}

// Save stores the torrent's own facts (counters, peers, trackers, selection) as
// one opaque value in the session's journal. Answered by Done.
type Save struct {
	ID     ID
	Value  []byte
	Cookie uint64
}

// Sync makes everything written so far durable, and looks at it as Look does. Answered by Done. In one-shot
// downloads it ends the run; in between storage syncs by itself every 5 s or 512 MiB.
type Sync struct {
	ID     ID
	Cookie uint64
}

// Look asks whether names still lead to the files that were written, and whether they
// are as long as they were: what a torrent asks before it says that it is complete.
// Answered by Done, after a Trouble if something is wrong.
type Look struct {
	ID     ID
	Cookie uint64
}

// Done answers Select, Move, Rename, Save, Sync and Look.
type Done struct {
	ID     ID
	Cookie uint64
	Err    error
}

// Close ends a torrent's stay: partial pieces are spilled, records written, files
// closed. With Delete its payload and records are removed; with Forget only the
// records. Answered by Closed.
type Close struct {
	ID     ID
	Delete bool
	Forget bool
}

// Closed answers Close and is the last answer.
type Closed struct {
	ID  ID
	Err error
}

// Trouble is the state of the torrent's storage, sent when it changes: Err nil
// means that all is well again. Space says that it is the lack of space. While in
// trouble the torrent asks for no blocks and goes on seeding; storage tries again
// by itself, at first after 1 s, then at most every 15 s. Missing says that files
// or their folder have disappeared: nothing is made in their place, and all goes on
// when they are back.
type Trouble struct {
	ID      ID
	Err     error
	Space   bool
	Missing bool
	// Lost are pieces that were good and are not any more, which a failed sync
	// can cause, or somebody who has cut or replaced a file; nil: none. They have to
	// be fetched again.
	Lost *bits.Set
}

// FileDone says that every piece of a wanted file is on disk and verified, and
// that it has its final name: Path is its full path.
type FileDone struct {
	ID   ID
	File metainfo.FileIndex
	Path string
}

func (Open) storageMsg()    {}
func (*Blocks) storageMsg() {}
func (*Read) storageMsg()   {}
func (Sum) storageMsg()     {}
func (Stall) storageMsg()   {}
func (Verify) storageMsg()  {}
func (Select) storageMsg()  {}
func (Move) storageMsg()    {}
func (Rename) storageMsg()  {}
func (Save) storageMsg()    {}
func (Sync) storageMsg()    {}
func (Look) storageMsg()    {}
func (Close) storageMsg()   {}

func (Opened) storageAnswer()    {}
func (PieceDone) storageAnswer() {}
func (Sums) storageAnswer()      {}
func (Resume) storageAnswer()    {}
func (Checked) storageAnswer()   {}
func (CheckDone) storageAnswer() {}
func (Done) storageAnswer()      {}
func (Closed) storageAnswer()    {}
func (Trouble) storageAnswer()   {}
func (FileDone) storageAnswer()  {}

// Drop releases the slots of blocks that storage will never see.
func (b *Blocks) Drop() {
	for i := range b.Entries {
		b.Entries[i].Data.Release()
	}
	b.Entries = b.Entries[:0]
}
