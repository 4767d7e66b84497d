package storage

import (
	"errors"
	"io"
)

// FS is where files lie: the machine's own, or a model of it. Workers use it; the
// actor never does. Implementations are safe for concurrent use.
type FS interface {
	// OpenRoot opens an existing folder by its path on the machine.
	OpenRoot(dir string) (Root, error)
	// MakeRoot is OpenRoot that makes the folder and its parents if need be, durably.
	MakeRoot(dir string) (Root, error)
	// BootID names this run of the machine's kernel: data written but not synced
	// may be trusted for as long as it stays the same. Empty if it can't be told.
	BootID() string
}

// Root is an open folder. Names are relative to it, with slashes, and can't lead
// out of it, also not through symbolic links.
type Root interface {
	OpenFile(name string, how How) (File, error)
	// Stat describes what is there, not what a symbolic link points to.
	Stat(name string) (Info, error)
	MkdirAll(name string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	// MoveTo gives a file a new name, also in another root, and replaces what has
	// that name. The error is ErrCrossDevice where data would have to be copied.
	MoveTo(name string, to Root, toName string) error
	Symlink(target, name string) error
	// SetExec sets the permission bits for execution where reading is permitted.
	SetExec(name string) error
	// SyncDir makes names that were made, changed or removed in a folder durable.
	SyncDir(name string) error
	// Lock takes an advisory lock on a file, made if need be, or fails with
	// ErrLocked at once. Closing it, or the process's end, releases the lock.
	Lock(name string, exclusive bool) (io.Closer, error)
	// Present reports, as nil, that this very folder still has its path.
	Present() error
	io.Closer
}

// How says what a file is opened for.
type How uint8

// Ways to open a file.
const (
	ReadOnly  How = iota
	ReadWrite     // existing
	Create        // read and write, made if need be
	Replace       // written from scratch
	Append        // made if need be; see File.Append
)

// File is an open file. Reads and writes are complete or fail: short transfers
// and interruptions are dealt with inside.
type File interface {
	// ReadV fills bufs from off on. At the end of the file it returns what there
	// was and io.ErrUnexpectedEOF.
	ReadV(bufs [][]byte, off int64) (int, error)
	// WriteV writes bufs at off, one after the other.
	WriteV(bufs [][]byte, off int64) (int, error)
	// WritePast is WriteV for what is not soon read again: where the system can, what
	// was written leaves the page cache as soon as it is on the device.
	WritePast(bufs [][]byte, off int64) (int, error)
	// Append adds b at the end, in one piece.
	Append(b []byte) error
	// Lock keeps others from writing: until the file is closed, Lock of whoever else
	// has it open, in this process too, fails with ErrLocked at once. It is advisory,
	// and nothing where files can't be locked.
	Lock() error
	// Stat describes the file, its ID included.
	Stat() (Info, error)
	Truncate(size int64) error
	// Allocate reserves space for the first size bytes and makes the file that
	// long. Where that can't be had the error is errors.ErrUnsupported.
	Allocate(size int64) error
	// NextData returns the first offset >= off at which there may be data that are
	// not a hole's zeros: off itself where the file system can't tell.
	NextData(off int64) (int64, error)
	// Sync makes the file's data durable, and its length.
	Sync() error
	// Close's error is one that Sync would have had: who relies on data syncs first.
	io.Closer
}

// Info describes a file.
type Info struct {
	Size  int64
	MTime int64 // Unix time in nanoseconds
	Kind  FileKind
	Links int64 // names that the file has; 0: it has been removed; -1: unknown
	// ID tells the file from others, whatever its name. Only File.Stat fills it in.
	ID FileID
	// Late says that the time may still change by what has been written already, as
	// where a server sets it.
	Late bool
}

// FileID tells files apart. Each part is 0 where it is not known; all are where the
// file system gives files other numbers each time.
type FileID struct {
	Dev   uint64 // may be another one after a reboot
	Ino   uint64 // may be given to a new file when this one is gone
	Birth int64  // when the file was made, Unix time in nanoseconds
}

// same reports whether two IDs may be of the same file. Another device is no matter
// if it may have got another number since.
func (a FileID) same(b FileID, remounted bool) bool {
	differ := func(x, y uint64) bool { return x != 0 && y != 0 && x != y }
	return !differ(a.Ino, b.Ino) && !differ(uint64(a.Birth), uint64(b.Birth)) &&
		(remounted || a.Birth != 0 && b.Birth != 0 || !differ(a.Dev, b.Dev))
}

// FileKind says what a name stands for.
type FileKind uint8

// Kinds of files.
const (
	Regular FileKind = iota
	Folder
	Symlink
	Special
)

// ErrLocked says that another session holds what was to be locked.
var ErrLocked = errors.New("in use by another process")

// ErrCrossDevice says that a rename would have to copy.
var ErrCrossDevice = errors.New("on another device")
