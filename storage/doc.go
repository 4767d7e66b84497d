// Package storage keeps torrents' payload and what is known of it. One actor per
// device owns the queues; disk and hash workers beneath it do what blocks. Blocks
// come in as slots of a slab, are hashed from memory as they come in order, and
// are written as whole verified pieces; nothing is read again to be hashed.
//
// # Where to start reading
//
// messages.go says what the actor takes and answers. storage.go has its Handle, the
// map of all else, by concern: arrive.go (blocks and hashing), write.go, trouble.go
// (disks that fail), read.go, budget.go (marks of the slab, spilling), verify.go,
// sync.go, open.go and close.go, selection.go, files.go, move.go. None of these
// touches a file: they make jobs (tasks*.go), which a [Workers] carries out and hands
// back. What jobs do lies in run_*.go, on a [Disk], above the seam fs.go, which the
// machine's files ([OS]) and those in memory (package memfs) implement.
//
// # A block's way
//
// Blocks of one drain arrive as one batch. A piece's blocks wait in their slots; each
// run of sixteen in order is a hash job, with the state of the hash kept in the
// piece. Behind the last block the sum is compared. A good piece is sealed, lent to
// readers from memory, and written: small pieces together with their neighbours, up
// to 1 MiB a call. A bad one comes back with a fingerprint of each block. Slots are
// released after the write.
//
// Above the slab's high mark torrents stop asking. If nothing under way will give
// room, the partial pieces that have waited longest are written as they are and read
// back when they are complete; that is the only payload read to be hashed.
//
// # What is known after a crash
//
// Each torrent has a state file: a snapshot and records appended to it (record.go,
// facts.go). A write job appends "written" with the boot's id right after the write;
// a sync of the files, each 5 s or 512 MiB, is followed by "durable" and a sync of
// the state file. After kill -9 (same boot) both are trusted; after a power cut only
// durable pieces are, and the others are hashed. What takes trust away, or says where
// files are, is durable before it is acted upon. A record that is damaged costs the
// torrent a check at most. Files that have disappeared are not made anew for as long
// as something is known of them.
//
// # Whose files they are
//
// With each write goes a record of what its files look like afterwards: number, size,
// time; and before it one that they are being written. A file that is another one, or
// older, or changed though we were not writing, is hashed again (open.go). While a
// torrent is open, syncs and Look compare names with what was written (run_seen.go): a
// file that somebody has moved, replaced or cut is trouble, and what is lost with it is
// told. Files that are written are locked, so that they have one writer on the machine;
// reading them needs no lock.
//
// A whole state folder is locked by one session, or each torrent by itself where
// several processes share the folder.
//
// # Unwanted files
//
// Pieces that touch files which are not wanted keep those bytes in a part store, one
// file per torrent beside its state, until the files are wanted.
package storage
