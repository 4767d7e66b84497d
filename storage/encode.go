package storage

import (
	"encoding/binary"
	"errors"

	"github.com/shoal-bt/shoal/internal/bits"
)

// encoder appends the parts of a record's payload.
type encoder struct{ b []byte }

func (e *encoder) uint(v uint64)  { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) text(s string)  { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bytes(s []byte) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }

func (e *encoder) set(s *bits.Set) {
	e.uint(uint64(s.Len()))
	e.b = s.AppendWire(e.b)
}

var errRecord = errors.New("broken record")

// decoder takes the parts of a payload. After the first error everything is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() { d.b, d.err = nil, errRecord }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// index takes an integer below limit.
func (d *decoder) index(limit int32) int32 {
	v := d.uint()
	if v >= uint64(limit) {
		d.fail()
		return 0
	}
	return int32(v)
}

// bytes takes a byte string; it shares d's memory.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	s := d.b[:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) text() string { return string(d.bytes()) }

// set takes a set of exactly n integers.
func (d *decoder) set(n int32) bits.Set {
	size := bits.WireLen(n)
	if d.uint() != uint64(n) || len(d.b) < size {
		d.fail()
		return bits.New(n)
	}
	s, err := bits.ParseWire(d.b[:size], n)
	if err != nil {
		d.fail()
		return bits.New(n)
	}
	d.b = d.b[size:]
	return s
}

// more reports whether something is left.
func (d *decoder) more() bool { return d.err == nil && len(d.b) > 0 }
