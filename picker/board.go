package picker

import (
	"cmp"
	"slices"

	"github.com/shoal-bt/shoal/internal/bits"
)

// board is the index behind rarest and random. It owns where each open piece
// stands: with a deadline in the due list, otherwise in the line of its class,
// which is shuffled within each level of availability. Pieces that are not open
// (owned, unwanted, all blocks out) stand nowhere.
//
// A line is one array sorted by level, with the index where each level begins. To
// move a piece to the neighbouring level, it changes places with the last (first)
// of its own and the border moves by one: O(1) for a have.
type board struct {
	flat  bool // ignore availability: each line is one level
	lines [classes]line
	at    []place // of each piece
	due   dueList
	open  bits.Set // pieces in lines
	begun int32    // pieces with busy

	ordering bool    // inside Order: changes wait in later
	later    []int32 // pieces changed meanwhile
	few      []int32 // scratch: the open pieces of a peer that has few
	runs     [classes][]int32
}

// class ranks pieces without deadline: priority 7 to 1, begun before untouched.
type class uint8

const (
	classes       = 14
	nowhere class = 255
	isDue   class = 254
)

// maxLevel is the availability beyond which pieces count as equally common.
const maxLevel = 4095

type place struct {
	pos   int32 // index in order
	level uint16
	class class
	busy  bool // begun and not complete
}

type line struct {
	order []int32 // pieces by level
	start []int32 // start[l] is where level l begins; one more entry, the end
}

func classOf(p Piece) class {
	c := 2 * class(7-min(max(p.Prio, 1), 7))
	if !p.Busy {
		c++
	}
	return c
}

// target says where a piece belongs.
func (b *board) target(p Piece) place {
	t := place{class: nowhere, busy: p.Busy && !p.Have}
	switch {
	case !p.Wanted():
	case p.Due():
		t.class = isDue
	case p.Missing > 0:
		t.class = classOf(p)
	}
	if t.class < classes && !b.flat {
		t.level = uint16(min(max(p.Avail, 0), maxLevel))
	}
	return t
}

// Rebuild counts the pieces of every level, then fills the lines and shuffles.
func (b *board) Rebuild(f Facts) {
	n := f.Pieces()
	*b = board{flat: b.flat, at: make([]place, n), open: bits.New(n)}
	counts := b.count(f)
	for c := range b.lines {
		b.lines[c].size(counts[c])
	}
	for i := range b.open.All() {
		t := &b.at[i]
		l, left := &b.lines[t.class], &counts[t.class][t.level]
		*left--
		t.pos = l.start[t.level] + *left
		l.order[t.pos] = i
	}
	b.shuffle(f)
}

// count decides where each piece belongs and returns how many are in each level.
func (b *board) count(f Facts) (counts [classes][]int32) {
	for i := range f.Pieces() {
		p := f.Piece(i)
		t := b.target(p)
		b.at[i] = t
		b.begun += one(t.busy)
		switch {
		case t.class == isDue:
			b.due.put(i, p.Deadline)
		case t.class < classes:
			c := &counts[t.class]
			for int(t.level) >= len(*c) {
				*c = append(*c, 0)
			}
			(*c)[t.level]++
			b.open.Set(i)
		}
	}
	return counts
}

// size makes room for counts[l] pieces of each level l.
func (l *line) size(counts []int32) {
	sum := int32(0)
	l.start = make([]int32, 1, len(counts)+1)
	for _, n := range counts {
		sum += n
		l.start = append(l.start, sum)
	}
	l.order = make([]int32, sum)
}

func (b *board) shuffle(f Facts) {
	for c := range b.lines {
		l := &b.lines[c]
		for level := 1; level < len(l.start); level++ {
			for from, i := l.start[level-1], l.start[level]-1; i > from; i-- {
				b.swap(l, i, from+f.Rand(i-from+1))
			}
		}
	}
}

// Changed puts the piece where it belongs now.
func (b *board) Changed(f Facts, piece int32, c Change) {
	if uint32(piece) >= uint32(len(b.at)) {
		return
	}
	if b.ordering {
		b.later = append(b.later, piece)
		return
	}
	b.place(f, piece, c == DeadlineChanged)
}

// place moves a piece. A new deadline moves it within the due list.
func (b *board) place(f Facts, piece int32, redue bool) {
	p := f.Piece(piece)
	was, now := b.at[piece], b.target(p)
	b.begun += one(now.busy) - one(was.busy)
	b.at[piece].busy = now.busy
	switch {
	case was.class == now.class && now.class < classes:
		if b.shift(piece, int32(now.level)) {
			b.settle(f, piece)
		}
		return
	case was.class == now.class && !(redue && now.class == isDue):
		return
	}
	b.leave(piece)
	b.at[piece].class = now.class
	switch now.class {
	case nowhere:
	case isDue:
		b.due.put(piece, p.Deadline)
	default:
		b.enter(piece, now)
		b.shift(piece, int32(now.level))
		b.settle(f, piece)
	}
}

func one(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// leave takes a piece from where it stands.
func (b *board) leave(piece int32) {
	t := &b.at[piece]
	switch {
	case t.class == isDue:
		b.due.drop(piece)
	case t.class < classes:
		l := &b.lines[t.class]
		top := int32(len(l.start) - 2)
		b.shift(piece, top)
		b.swap(l, t.pos, int32(len(l.order)-1))
		l.order = l.order[:len(l.order)-1]
		l.start[top+1]--
		b.open.Clear(piece)
	}
	t.class = nowhere
}

// enter appends a piece to the line of its class, at the most common level.
func (b *board) enter(piece int32, t place) {
	l := &b.lines[t.class]
	for len(l.start) < int(t.level)+2 {
		l.start = append(l.start, int32(len(l.order)))
	}
	top := len(l.start) - 2
	b.at[piece] = place{pos: int32(len(l.order)), level: uint16(top), class: t.class, busy: t.busy}
	l.order = append(l.order, piece)
	l.start[top+1]++
	b.open.Set(piece)
}

// shift moves a piece within its line, level by level: it trades places with the
// outermost piece of its level, then the border passes over it. It reports whether
// the piece has moved.
func (b *board) shift(piece, to int32) bool {
	t := &b.at[piece]
	l := &b.lines[t.class]
	for int(to)+2 > len(l.start) {
		l.start = append(l.start, int32(len(l.order)))
	}
	from := int32(t.level)
	level := from
	for ; level < to; level++ {
		b.swap(l, t.pos, l.start[level+1]-1)
		l.start[level+1]--
	}
	for ; level > to; level-- {
		b.swap(l, t.pos, l.start[level])
		l.start[level]++
	}
	t.level = uint16(level)
	return level != from
}

// settle gives a piece that came to its level a random place there, so that ties
// stay random.
func (b *board) settle(f Facts, piece int32) {
	t := b.at[piece]
	l := &b.lines[t.class]
	from, to := l.start[t.level], l.start[t.level+1]
	b.swap(l, t.pos, from+f.Rand(to-from))
}

func (b *board) swap(l *line, i, j int32) {
	x, y := l.order[i], l.order[j]
	l.order[i], l.order[j] = y, x
	b.at[x].pos, b.at[y].pos = j, i
}

// begin opens an Order for p; the classes' pieces are then in run. It reports
// whether p has anything open. A peer that has few of many open pieces gets runs of
// those only: the same order, without passing over all the others.
func (b *board) begin(p *Peer) bool {
	b.ordering = true
	for c := range b.lines {
		b.runs[c] = b.lines[c].order
	}
	if p.Has == nil || p.Has.Full() {
		return b.open.Count() > 0 || len(b.due) > 0
	}
	n := b.open.CountAnd(p.Has)
	if int64(n)*16 < int64(b.open.Count()) {
		b.pickOut(p.Has)
	}
	return n > 0 || len(b.due) > 0
}

// end closes an Order and takes up what was reported meanwhile.
func (b *board) end(f Facts) {
	b.ordering = false
	for _, piece := range b.later {
		b.place(f, piece, true)
	}
	b.later = b.later[:0]
}

// pickOut makes runs of the pieces in has.
func (b *board) pickOut(has Bits) {
	b.few = b.few[:0]
	for i := b.open.NextAnd(0, has); i >= 0; i = b.open.NextAnd(i+1, has) {
		b.few = append(b.few, i)
	}
	slices.SortFunc(b.few, func(x, y int32) int {
		s, t := b.at[x], b.at[y]
		return cmp.Or(cmp.Compare(s.class, t.class), cmp.Compare(s.pos, t.pos))
	})
	b.runs = [classes][]int32{}
	for from := 0; from < len(b.few); {
		c, to := b.at[b.few[from]].class, from
		for to < len(b.few) && b.at[b.few[to]].class == c {
			to++
		}
		b.runs[c] = b.few[from:to]
		from = to
	}
}

// partial and untouched return the pieces of a priority that are open.
func (b *board) partial(prio uint8) []int32   { return b.runs[2*(7-prio)] }
func (b *board) untouched(prio uint8) []int32 { return b.runs[2*(7-prio)+1] }
