package storage_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// TestPartStore lets torrents of random shapes have their files selected and
// deselected at random while pieces come in, and compares with a model that knows
// only this: a file is there if it has been wanted, and every piece that has been
// written can be read.
func TestPartStore(t *testing.T) {
	for seed := range uint64(seeds(80)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPartRun(t, seed)
			for range 12 {
				p.step()
			}
			p.selectAll()
		})
	}
}

// partRun is one torrent and the model of it.
type partRun struct {
	*rig
	rng  *rand.Rand
	tt   *TestTorrent
	opt  Options
	been []bool // files that have been wanted
	have map[metainfo.PieceIndex]bool
	part map[metainfo.PieceIndex][]metainfo.BlockIndex // stored, unfinished
}

func newPartRun(t *testing.T, seed uint64) *partRun {
	p := &partRun{
		rig: newRig(t, seed), rng: rand.New(rand.NewPCG(seed, 3)),
		have: map[metainfo.PieceIndex]bool{}, part: map[metainfo.PieceIndex][]metainfo.BlockIndex{},
	}
	var files []TestFile
	for i := range 2 + p.rng.IntN(12) {
		f := TestFile{Path: fmt.Sprintf("%d/%d", i%3, i), N: int64(p.rng.IntN(60_000))}
		switch p.rng.IntN(8) {
		case 0:
			f.N = 0
		case 1:
			f.N = 1
		case 2:
			f.Attr, f.Path = "p", fmt.Sprintf(".pad/%d", i)
		}
		files = append(files, f)
	}
	files = append(files, TestFile{Path: "last", N: 1 + int64(p.rng.IntN(50_000))})
	p.tt = MakeTorrent(t, int64(16384*(1+p.rng.IntN(2))-p.rng.IntN(2)*5000), seed, files...)
	p.been = make([]bool, len(files))
	p.opt.Priority = p.choose()
	p.start()
	p.open(p.tt, p.opt)
	return p
}

// choose makes a selection and notes it.
func (p *partRun) choose() []uint8 {
	prio := make([]uint8, len(p.been))
	for i := range prio {
		prio[i] = uint8(p.rng.IntN(3) / 2)
		p.been[i] = p.been[i] || prio[i] > 0
	}
	return prio
}

func (p *partRun) step() {
	switch p.rng.IntN(5) {
	case 0:
		p.opt.Priority = p.choose()
		p.send(Select{ID: 1, Priority: p.opt.Priority})
		if d := want[Done](p.rig, "selected"); d.Err != nil {
			p.t.Fatalf("select: %v", d.Err)
		}
	case 1:
		p.close(Close{})
		p.stop()
		p.start()
		p.reopened(p.open(p.tt, p.opt))
	default:
		p.arrive()
	}
	p.compare()
}

// arrive brings in some pieces, and parts of others.
func (p *partRun) arrive() {
	for range 1 + p.rng.IntN(4) {
		i := metainfo.PieceIndex(p.rng.IntN(int(p.tt.Lengths.Pieces())))
		if p.have[i] || p.part[i] != nil {
			continue
		}
		if n := p.tt.Lengths.Blocks(i); n > 1 && p.rng.IntN(3) == 0 {
			b := metainfo.BlockIndex(p.rng.IntN(int(n)))
			p.blocks(p.tt, i, b)
			p.part[i] = []metainfo.BlockIndex{b}
			continue
		}
		p.fetch(p.tt, i)
		p.have[i] = true
	}
}

// reopened compares what is known after a restart.
func (p *partRun) reopened(o Opened) {
	p.t.Helper()
	for i := range p.tt.Lengths.Pieces() {
		if o.Have.Has(i) != p.have[metainfo.PieceIndex(i)] {
			p.t.Errorf("piece %d: known %v", i, o.Have.Has(i))
		}
	}
	if len(o.Partials) != len(p.part) || o.Unknown != nil {
		p.t.Errorf("%d partial pieces, want %d; unknown %v", len(o.Partials), len(p.part), o.Unknown)
	}
}

// compare looks at files and pieces.
func (p *partRun) compare() {
	p.t.Helper()
	for i := range p.tt.Files {
		f := &p.tt.Files[i]
		if !p.been[i] || f.Pad() {
			if p.fs.Exists(pathOf(p.tt, i)) {
				p.t.Errorf("file %d was never wanted and is there", i)
			}
			continue
		}
		p.compareFile(i)
	}
	for i := range p.have {
		p.wantRead(p.tt, i)
	}
}

// compareFile compares what of a file has been written.
func (p *partRun) compareFile(i int) {
	p.t.Helper()
	f := &p.tt.Files[i]
	got, err := p.fs.ReadFile(pathOf(p.tt, i))
	first, last := p.tt.Lengths.PiecesOf(f.Offset, f.Length)
	if f.Length == 0 && err != nil {
		p.t.Errorf("file %d is empty and not there", i)
	}
	for piece := first; piece <= last; piece++ {
		if !p.have[piece] {
			continue
		}
		from := max(p.tt.Lengths.PieceOffset(piece), f.Offset) - f.Offset
		to := min(p.tt.Lengths.PieceOffset(piece)+p.tt.Lengths.PieceSize(piece), f.Offset+f.Length) - f.Offset
		if int64(len(got)) < to || !bytes.Equal(got[from:to], p.tt.FileData(i)[from:to]) {
			p.t.Errorf("file %d lacks piece %d (%d bytes there, %v)", i, piece, len(got), err)
		}
	}
}

// selectAll wants everything in the end: all files are complete and no part store
// is left.
func (p *partRun) selectAll() {
	for i := range p.been {
		p.been[i] = true
	}
	p.opt.Priority = nil
	p.send(Select{ID: 1})
	if d := want[Done](p.rig, "all selected"); d.Err != nil {
		p.t.Fatalf("select: %v", d.Err)
	}
	p.compare()
	for i := range metainfo.PieceIndex(p.tt.Lengths.Pieces()) {
		if p.have[i] {
			continue
		}
		for b := range metainfo.BlockIndex(p.tt.Lengths.Blocks(i)) {
			if !slices.Contains(p.part[i], b) {
				p.blocks(p.tt, i, b)
			}
		}
		if d := want[PieceDone](p.rig, "the rest"); !d.OK {
			p.t.Errorf("%+v", d)
		}
	}
	p.run(time.Second)
	p.wantFiles(p.tt)
	p.quiet()
	p.close(Close{})
	p.stop()
	if p.fs.Exists(stateDir + "/" + p.tt.Hash.String() + ".parts") {
		p.t.Error("a part store is left")
	}
}

func TestOneOfManyFilesLeavesOneFile(t *testing.T) {
	r := newRig(t, 1).start()
	var files []TestFile
	for i := range 200 {
		files = append(files, TestFile{Path: fmt.Sprintf("d/%03d", i), N: 5000})
	}
	tt := MakeTorrent(t, 32<<10, 1, files...)
	prio := make([]uint8, 200)
	prio[77] = 1
	r.open(tt, Options{Priority: prio})
	first, last := tt.Lengths.PiecesOf(tt.Files[77].Offset, 5000)
	for p := first; p <= last; p++ {
		r.fetch(tt, p)
	}
	if d := want[FileDone](r, "complete"); d.File != 77 {
		t.Errorf("%+v", d)
	}
	if got := r.fs.List("/data"); len(got) != 1 || got[0] != pathOf(tt, 77) {
		t.Errorf("there are %v", got)
	}
	none[FileDone](r, "only what is wanted")
	r.quiet()
}

func TestFilesWithoutDataAndLinks(t *testing.T) {
	r := newRig(t, 2).start()
	tt := MakeTorrent(t, 32<<10, 1,
		TestFile{Path: "dir/empty"}, TestFile{Path: "x", N: 10_000, Attr: "x"}, TestFile{Path: ".pad/1", N: 32<<10 - 10_000, Attr: "p"},
		TestFile{Path: "y", N: 50_000}, TestFile{Path: "dir/link", Attr: "l", Link: "x"}, TestFile{Path: "none"})
	r.open(tt, Options{Priority: []uint8{1, 1, 1, 1, 1, 0}})
	if !r.fs.Exists(payloadDir+"/t/dir/empty") || r.fs.Exists(payloadDir+"/t/none") {
		t.Error("wanted files without data are made at once, others are not")
	}
	r.fetch(tt, 0)
	r.run(time.Second)
	if r.fs.Exists(payloadDir+"/t/dir/link") || !r.fs.Exec(payloadDir+"/t/x") {
		t.Error("links are made at the end, permissions with the file")
	}
	r.fetch(tt, 1, 2)
	r.run(time.Second)
	if got := r.fs.Target(payloadDir + "/t/dir/link"); got != "../x" {
		t.Errorf("the link says %q", got)
	}
	if r.fs.Exists(payloadDir + "/t/.pad") {
		t.Error("padding is never stored")
	}
	for p := range metainfo.PieceIndex(3) {
		r.wantRead(tt, p)
	}
	r.quiet()
	r.close(Close{Delete: true})
	if left := r.fs.List("/data"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	r.stop()
}
