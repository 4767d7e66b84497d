package storage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// The state file of a torrent is a header and records, appended one after the
// other. A record is
//
//	marker  4 bytes
//	kind    1 byte
//	length  4 bytes, little endian, of the payload
//	crc     4 bytes, CRC-32C of kind, length and payload
//	payload
//
// so that after damage reading goes on at the next marker with a record behind it
// that agrees with its checksum. The first record is a snapshot; the file is
// replaced by a new snapshot when it has grown.

// stateHeader is a name and, as its last byte, the version.
const stateHeader = "shoalst\x01"

const recordMarker = "\xc5SR\x1e"

const recordHead = 13 // bytes before the payload

// maxRecord bounds a record's payload: a snapshot of the most pieces there may be
// with a Save of maxSaved, and ample room for the names of files.
const maxRecord = 256 << 20

// maxSaved bounds the value of Save.
const maxSaved = 64 << 20

// recordKind says what a record is about.
type recordKind uint8

const (
	recSnapshot recordKind = iota + 1 // everything: replaces what came before
	recWritten                        // boot id, pieces: verified and written
	recDurable                        // pieces: synced
	recLost                           // pieces: not to be trusted any more
	recDoubt                          // pieces: to be hashed before they are trusted again
	recPartial                        // boot id, piece, blocks: stored, not verified
	recSaved                          // the torrent's own value
	recPlaced                         // files that have left the part store
	recRenamed                        // file, path given by the user, path before
	recMoving                         // a move to this folder has begun
	recMoved                          // the payload is complete in this folder now
	recCleaned                        // nothing of a move is left to be done
	recClosed                         // all is durable; sizes and times of files, by earlier versions
	recBegun                          // payload is being written again
	recSettled                        // the torrent knows its folder: where it was before does not matter
	recFiles                          // what files look like after our last write
	recCopies                         // what copies look like that are about to take the place of files
	recBusy                           // files that are being written: their times may be later than recorded
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends a record whose payload f writes.
func appendRecord(dst []byte, kind recordKind, f func(e *encoder)) []byte {
	start := len(dst)
	dst = append(dst, recordMarker...)
	dst = append(dst, byte(kind), 0, 0, 0, 0, 0, 0, 0, 0)
	e := encoder{dst}
	f(&e)
	dst = e.b
	binary.LittleEndian.PutUint32(dst[start+5:], uint32(len(dst)-start-recordHead))
	binary.LittleEndian.PutUint32(dst[start+9:], recordSum(dst[start:]))
	return dst
}

// recordSum is the checksum of a record whose head is complete.
func recordSum(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[4:9], castagnoli), castagnoli, rec[recordHead:])
}

// parseRecord reads the record at the begin of b; n is its length, 0 if there is none.
func parseRecord(b []byte) (kind recordKind, payload []byte, n int) {
	if len(b) < recordHead || string(b[:4]) != recordMarker {
		return 0, nil, 0
	}
	size := binary.LittleEndian.Uint32(b[5:])
	if size > maxRecord || int64(size) > int64(len(b)-recordHead) {
		return 0, nil, 0
	}
	n = recordHead + int(size)
	if recordSum(b[:n]) != binary.LittleEndian.Uint32(b[9:]) {
		return 0, nil, 0
	}
	return recordKind(b[4]), b[recordHead:n], n
}

// damage is what is wrong with a state file.
type damage struct {
	// old holes have a sound record behind them that was synced, new ones lie in
	// what was not: a power cut may leave those.
	old, fresh int
	torn       bool // there is no sound record behind the last hole
}

// scanRecords calls f for each sound record. Each durable record but the last shows
// that all before it has been synced, as there is one sync at a time.
func scanRecords(b []byte, f func(kind recordKind, payload []byte)) (d damage) {
	inHole, holes, synced := false, 0, 0
	for len(b) > 0 {
		kind, payload, n := parseRecord(b)
		if n > 0 {
			if inHole {
				holes++
				inHole = false
			}
			if kind == recDurable {
				d.old, synced = synced, holes
			}
			f(kind, payload)
			b = b[n:]
			continue
		}
		inHole = true
		next := bytes.Index(b[1:], []byte(recordMarker))
		if next < 0 {
			break
		}
		b = b[1+next:]
	}
	d.fresh, d.torn = holes-d.old, inHole
	return d
}
