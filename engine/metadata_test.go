package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// provider is a peer that serves metadata in its own way.
type provider struct {
	size   int64 // as it announces
	delay  time.Duration
	answer func(piece int32) (data []byte, total int64, say bool) // no data: it refuses; not say: it is silent
	asked  int                                                    // requests that it has had
	gone   bool
}

// metaRig runs a metaFetch against providers in a time of its own.
type metaRig struct {
	t      *testing.T
	f      *metaFetch
	raw    []byte
	now    clock.Time
	peers  map[peerID]*provider
	ids    []peerID
	due    []metaDue
	banned []peerID
	most   int64 // bytes that attempts held at once
}

type metaDue struct {
	at    clock.Time
	seq   int
	id    peerID
	piece int32
}

// newMetaRig has metadata of size bytes to be found.
func newMetaRig(t *testing.T, size int) *metaRig {
	raw := payload(size)
	h, _ := metainfo.SumInfo(raw)
	return &metaRig{t: t, f: newMetaFetch(metainfo.HashV1(h)), raw: raw, now: clock.Time(time.Hour), peers: map[peerID]*provider{}}
}

func (r *metaRig) size() int64 { return int64(len(r.raw)) }

// piece is a piece of the truth.
func (r *metaRig) piece(i int32) []byte {
	at := int(i) * wire.MetadataPiece
	return bytes.Clone(r.raw[at : at+wire.MetadataPieceSize(r.size(), i)])
}

// join adds a provider, honest unless changed.
func (r *metaRig) join(change ...func(*provider)) peerID {
	id := peerID(len(r.ids) + 1)
	p := &provider{size: r.size(), delay: 50 * time.Millisecond}
	p.answer = func(i int32) ([]byte, int64, bool) { return r.piece(i), r.size(), true }
	for _, f := range change {
		f(p)
	}
	r.peers[id] = p
	r.ids = append(r.ids, id)
	r.f.offer(id, p.size)
	return id
}

// step asks what is to be asked, and lets time go on to the next event.
func (r *metaRig) step() {
	asks, again := r.f.next(r.now)
	r.banned = append(r.banned, r.f.takeLiars()...)
	if n := r.held(); n > r.most {
		r.most = n
	}
	for _, a := range asks {
		for _, i := range a.pieces {
			p := r.peers[a.id]
			p.asked++
			r.due = append(r.due, metaDue{r.now.Add(p.delay), len(r.due), a.id, i})
		}
		if n := r.f.peer(a.id).out(); n > maxMetaAsks {
			r.t.Fatalf("%d requests out with %d", n, a.id)
		}
	}
	slices.SortStableFunc(r.due, func(a, b metaDue) int { return int(a.at - b.at) })
	if len(r.due) > 0 && r.due[0].at <= again {
		d := r.due[0]
		r.due = r.due[1:]
		r.now = max(r.now, d.at)
		r.deliver(d)
		return
	}
	if len(r.f.peers) == 0 {
		return
	}
	if again == clock.Never || again <= r.now {
		r.t.Fatalf("at %v: nothing will ever happen, or at once for ever (%v)", r.now, again)
	}
	r.now = again
}

func (r *metaRig) deliver(d metaDue) {
	p := r.peers[d.id]
	data, total, say := p.answer(d.piece)
	switch {
	case !say || p.gone || r.f.peer(d.id) == nil:
	case data == nil:
		r.f.refused(r.now, d.id, d.piece)
	default:
		r.f.data(r.now, d.id, d.piece, total, data)
	}
}

func (r *metaRig) held() (n int64) {
	for _, t := range r.f.tries {
		for i := range t.pieces {
			n += int64(len(t.pieces[i].data))
		}
	}
	return n
}

// found runs until the metadata is there, which it must be within limit; it returns how
// long it took.
func (r *metaRig) found(limit time.Duration) time.Duration {
	r.t.Helper()
	start := r.now
	for r.f.raw == nil {
		if r.now.Sub(start) > limit {
			done, total := r.f.progress()
			r.t.Fatalf("not found within %v: %d of %d pieces, banned %v", limit, done, total, r.banned)
		}
		r.step()
	}
	r.banned = append(r.banned, r.f.takeLiars()...)
	if !bytes.Equal(r.f.raw, r.raw) {
		r.t.Fatal("something else was found")
	}
	if r.most > maxMetaHeld {
		r.t.Fatalf("%d bytes were held", r.most)
	}
	return r.now.Sub(start)
}

func (r *metaRig) wantBanned(ids ...peerID) {
	r.t.Helper()
	slices.Sort(r.banned)
	if !slices.Equal(r.banned, ids) {
		r.t.Fatalf("banned %v, want %v", r.banned, ids)
	}
}

// Ways of providing.

func ofSize(size int64) func(*provider) { return func(p *provider) { p.size = size } }

// lying sends nonsense in every piece, or in those that are named.
func (r *metaRig) lying(pieces ...int32) func(*provider) {
	return func(p *provider) {
		p.answer = func(i int32) ([]byte, int64, bool) {
			b := r.piece(i)
			if len(pieces) == 0 || slices.Contains(pieces, i) {
				b[0] ^= 1
			}
			return b, r.size(), true
		}
	}
}

func refusing(p *provider) { p.answer = func(int32) ([]byte, int64, bool) { return nil, 0, true } }
func silent(p *provider)   { p.answer = func(int32) ([]byte, int64, bool) { return nil, 0, false } }

func after(d time.Duration) func(*provider) { return func(p *provider) { p.delay = d } }

func TestMetadataFromOnePeer(t *testing.T) {
	for _, size := range []int{1, 100, wire.MetadataPiece, wire.MetadataPiece + 1, 1 << 20} {
		r := newMetaRig(t, size)
		r.join()
		r.found(5 * time.Second)
		r.wantBanned()
	}
}

// 5 MiB from ten peers take a tenth of the time, and each piece is fetched about once.
func TestMetadataInParallel(t *testing.T) {
	alone := newMetaRig(t, 5<<20)
	alone.join()
	one := alone.found(time.Minute)
	many := newMetaRig(t, 5<<20)
	for range 10 {
		many.join()
	}
	if ten := many.found(time.Minute); ten > one/5 {
		t.Fatalf("%v from one peer, %v from ten", one, ten)
	}
	total := 0
	for _, p := range many.peers { //order: irrelevant
		total += p.asked
	}
	if total > 320*11/10 {
		t.Fatalf("%d requests for 320 pieces", total)
	}
}

// Sizes that nobody can want allocate nothing and are asked for nothing.
func TestMetadataHostileSizes(t *testing.T) {
	r := newMetaRig(t, 100_000)
	var bad []peerID
	for _, size := range []int64{-1, maxMetadata + 1, 1 << 31, 1<<63 - 1, -1 << 63} {
		bad = append(bad, r.join(ofSize(size)))
	}
	r.join()
	r.found(5 * time.Second)
	for _, id := range bad {
		if r.peers[id].asked > 0 {
			t.Errorf("%d was asked", id)
		}
	}
	r.wantBanned()
}

// Whoever announces the largest size that is taken holds nobody up, and has to send all
// that it makes us hold.
func TestMetadataOtherSizes(t *testing.T) {
	r := newMetaRig(t, 100_000)
	for i := range int64(20) {
		r.join(ofSize(maxMetadata-i), silent)
	}
	r.join()
	if took := r.found(10 * time.Minute); took > 5*time.Minute {
		t.Fatalf("it took %v", took)
	}
	if r.most > 1<<20 {
		t.Fatalf("%d bytes held for nothing", r.most)
	}
}

// Of the groups the largest is asked first: three honest peers beat twenty liars who
// can't agree.
func TestMetadataLargestGroupFirst(t *testing.T) {
	r := newMetaRig(t, 100_000)
	for i := range int64(20) {
		r.join(ofSize(200_000+i), silent)
	}
	for range 3 {
		r.join()
	}
	if took := r.found(10 * time.Minute); took > time.Minute {
		t.Fatalf("it took %v", took)
	}
}

func TestMetadataLiarAlone(t *testing.T) {
	r := newMetaRig(t, 100_000)
	liar := r.join(r.lying())
	for len(r.banned) == 0 {
		r.step()
	}
	r.wantBanned(liar)
	r.join()
	r.found(5 * time.Second)
}

// A liar among honest ones: the mixed attempt fails, each is tried alone, and the liar is
// convicted, whether by its own copy or by what it has sent before.
func TestMetadataLiarAmongOthers(t *testing.T) {
	for at := range 4 {
		t.Run(fmt.Sprint("place ", at), func(t *testing.T) {
			r := newMetaRig(t, 300_000)
			var liar peerID
			for i := range 4 {
				if i == at {
					liar = r.join(r.lying())
				} else {
					r.join()
				}
			}
			r.found(20 * time.Second)
			r.wantBanned(liar)
		})
	}
}

// A liar that lies in one piece, and once: whoever sent that piece is convicted when the
// right one is known. If it never sent that piece it has done no harm.
func TestMetadataLiarInOnePiece(t *testing.T) {
	r := newMetaRig(t, 300_000)
	r.join()
	liar := r.join(func(p *provider) {
		once := true
		p.answer = func(i int32) ([]byte, int64, bool) {
			b := r.piece(i)
			if once {
				b[7] ^= 0xff
				once = false
			}
			return b, r.size(), true
		}
	})
	r.join()
	r.found(30 * time.Second)
	r.wantBanned(liar)
}

// More liars than honest ones, all of the same size, and they conspire.
func TestMetadataLiarsOutnumber(t *testing.T) {
	r := newMetaRig(t, 300_000)
	var liars []peerID
	for range 10 {
		liars = append(liars, r.join(r.lying()))
	}
	honest := r.join()
	r.found(2 * time.Minute)
	for _, id := range r.banned {
		if id == honest || !slices.Contains(liars, id) {
			t.Fatalf("banned %v", r.banned)
		}
	}
	if len(r.banned) < 5 {
		t.Fatalf("only %v were banned", r.banned)
	}
}

// Liars of the honest size that, once alone, do not answer: honest ones get their turn.
func TestMetadataLiarsThatStall(t *testing.T) {
	r := newMetaRig(t, 300_000)
	for range 6 {
		r.join(func(p *provider) {
			n := 0
			p.answer = func(i int32) ([]byte, int64, bool) {
				if n++; n > 3 {
					return nil, 0, false
				}
				return make([]byte, len(r.piece(i))), r.size(), true
			}
		})
	}
	r.join()
	r.found(5 * time.Minute)
}

// crowd are ways of 200 liars to be in the way of one who is honest and comes last. Each
// invents as many bytes as it has announced.
var crowd = map[string]func(p *provider){
	"silent": silent,
	"garbage": func(p *provider) {
		p.answer = func(i int32) ([]byte, int64, bool) {
			return make([]byte, wire.MetadataPieceSize(p.size, i)), p.size, true
		}
	},
	"garbage, then silent": func(p *provider) {
		p.answer = func(i int32) ([]byte, int64, bool) {
			return make([]byte, wire.MetadataPieceSize(p.size, i)), p.size, p.asked <= 3
		}
	},
	"dripping": func(p *provider) {
		p.delay = metaTimeout - time.Second
		p.answer = func(i int32) ([]byte, int64, bool) {
			return make([]byte, wire.MetadataPieceSize(p.size, i)), p.size, true
		}
	},
}

// Two hundred liars, all of the honest size or each of its own, larger or smaller: the one
// who is honest is heard within two minutes, and not held guilty.
func TestMetadataCrowdOfLiars(t *testing.T) {
	sizes := map[string]func(i int) int64{
		"same":    func(int) int64 { return 300_000 },
		"larger":  func(i int) int64 { return maxMetadata - 20_000*int64(i) },
		"smaller": func(i int) int64 { return 1000 + 1000*int64(i) },
	}
	for way, change := range crowd {
		for kind, size := range sizes {
			t.Run(way+" "+kind, func(t *testing.T) {
				r := newMetaRig(t, 300_000)
				for i := range 200 {
					r.join(ofSize(size(i)), change)
				}
				honest := r.join()
				took := r.found(2 * time.Minute)
				t.Logf("found after %v, %d kB held at most, %d banned", took, r.most>>10, len(r.banned))
				if slices.Contains(r.banned, honest) {
					t.Error("who was honest is banned")
				}
			})
		}
	}
}

// Many who send garbage as fast as they can, together more than is held at a time: little
// of it is asked for twice, and all of them are found out.
func TestMetadataCrowdIsNotAskedAgain(t *testing.T) {
	r := newMetaRig(t, 300_000)
	asked := 0
	for i := range 20 {
		r.join(ofSize(maxMetadata-int64(i)), func(p *provider) {
			p.answer = func(i int32) ([]byte, int64, bool) {
				asked++
				return make([]byte, wire.MetadataPieceSize(p.size, i)), p.size, true
			}
		})
	}
	for len(r.banned) < 20 {
		if r.step(); r.now > clock.Time(2*time.Hour) {
			t.Fatalf("%d banned in an hour, asked %d times", len(r.banned), asked)
		}
	}
	if r.most > maxMetaHeld {
		t.Errorf("%d bytes were held", r.most)
	}
	if most := 2 * 20 * maxMetadata / wire.MetadataPiece; asked > most {
		t.Errorf("asked %d times, want %d at most", asked, most)
	}
}

// Endless rejects: a peer is asked less and less, and others serve.
func TestMetadataRejects(t *testing.T) {
	r := newMetaRig(t, 300_000)
	no := r.join(refusing)
	start := r.now
	for r.now.Sub(start) < 30*time.Minute {
		r.step()
	}
	if n := r.peers[no].asked; n > 30*maxMetaFails {
		t.Fatalf("asked %d times within half an hour", n)
	}
	r.wantBanned()
	r.join()
	r.found(time.Minute)
}

// A slow drip: one that takes 30 s a piece holds nobody up, and if there is nobody else
// it is waited for.
func TestMetadataSlowDrip(t *testing.T) {
	r := newMetaRig(t, 100_000)
	r.join(after(30 * time.Second))
	r.found(10 * time.Minute)

	r = newMetaRig(t, 1_000_000)
	r.join(after(30 * time.Second))
	r.join()
	if took := r.found(time.Minute); took > 8*time.Second {
		t.Fatalf("it took %v", took)
	}
	r.wantBanned()
}

// Requests that are lost are made again, also of the only peer.
func TestMetadataLostRequests(t *testing.T) {
	r := newMetaRig(t, 300_000)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2 {
		r.join(func(p *provider) {
			honest := p.answer
			p.answer = func(i int32) ([]byte, int64, bool) {
				b, total, _ := honest(i)
				return b, total, rnd.IntN(3) > 0
			}
		})
	}
	r.found(10 * time.Minute)
	r.wantBanned()
}

// The size changes: with every piece, or with every handshake. Nobody is waited for, and
// whoever goes on is banned.
func TestMetadataChangingSize(t *testing.T) {
	r := newMetaRig(t, 300_000)
	total := r.size()
	liar := r.join(func(p *provider) {
		p.answer = func(i int32) ([]byte, int64, bool) {
			total++
			return make([]byte, wire.MetadataPieceSize(total, i)), total, true
		}
	})
	for len(r.banned) == 0 {
		r.step()
	}
	r.wantBanned(liar)
	restless := r.join()
	for i := range int64(10) {
		r.f.offer(restless, 5000+i)
	}
	r.join()
	r.found(time.Minute)
	r.wantBanned(liar, restless)
}

// Pieces of a wrong length are none.
func TestMetadataWrongLength(t *testing.T) {
	r := newMetaRig(t, 300_000)
	short := r.join(func(p *provider) {
		p.answer = func(i int32) ([]byte, int64, bool) { return r.piece(i)[:10], r.size(), true }
	})
	for len(r.banned) == 0 {
		r.step()
	}
	r.wantBanned(short)
	r.join()
	r.found(time.Minute)
}

// A peer that names no size is asked for the first piece, seldom; its answer names one.
func TestMetadataUnknownSize(t *testing.T) {
	r := newMetaRig(t, 100_000)
	r.join(ofSize(0))
	r.found(5 * time.Second)

	r = newMetaRig(t, 100_000)
	id := r.join(ofSize(0), refusing)
	start := r.now
	for r.now.Sub(start) < 10*time.Minute {
		r.step()
	}
	if n := r.peers[id].asked; n > 21 {
		t.Fatalf("asked %d times within ten minutes", n)
	}
}

// A provider leaves in the middle: what it has sent stays, what it owes is asked of
// others.
func TestMetadataProviderLeaves(t *testing.T) {
	r := newMetaRig(t, 1_000_000)
	leaves := r.join()
	for range 20 {
		r.step()
	}
	r.f.gone(leaves)
	r.peers[leaves].gone = true
	before, _ := r.f.progress()
	other := r.join()
	r.found(time.Minute)
	if n := r.peers[other].asked; before == 0 || n > 62-int(before)+8 {
		t.Fatalf("%d pieces were there, %d were asked for", before, n)
	}
}

// Whatever providers do, nothing is held beyond its bound, nobody honest is banned, and
// an honest one is heard in the end.
func TestMetadataAnything(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		r := newMetaRig(t, 1+rnd.IntN(400_000))
		honest := []peerID{}
		for range 1 + rnd.IntN(12) {
			switch rnd.IntN(8) {
			case 0:
				r.join(r.lying())
			case 1:
				r.join(r.lying(rnd.Int32N(wire.MetadataPieces(r.size()))))
			case 2:
				r.join(refusing)
			case 3:
				r.join(silent)
			case 4:
				r.join(ofSize(rnd.Int64N(1<<21)), silent)
			case 5:
				r.join(ofSize(0))
			case 6:
				r.join(after(time.Duration(rnd.IntN(20)) * time.Second))
			}
		}
		honest = append(honest, r.join())
		r.found(2 * time.Hour)
		for _, id := range honest {
			if slices.Contains(r.banned, id) {
				t.Fatalf("seed %d: an honest one is banned", seed)
			}
		}
	}
}

// The machine never panics, holds more than it may, or bans for an answer to what it has
// asked well.
func FuzzMetaFetch(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Add(bytes.Repeat([]byte{1, 9, 17, 33}, 50))
	f.Fuzz(func(t *testing.T, moves []byte) {
		r := newMetaRig(t, 40_000)
		for _, m := range moves {
			id := peerID(m>>5) + 1
			switch m & 7 {
			case 0, 1:
				r.f.offer(id, r.size())
			case 2:
				r.f.offer(id, int64(int8(m))<<(m>>3))
			case 3:
				r.f.gone(id)
			case 4:
				r.now = r.now.Add(time.Duration(m) * 100 * time.Millisecond)
			case 5:
				r.f.refused(r.now, id, int32(m>>3&3))
			case 6:
				if i := int32(m >> 3 & 3); i < 3 {
					r.f.data(r.now, id, i, r.size(), r.piece(i))
				}
			case 7:
				r.f.data(r.now, id, int32(m>>3&3), int64(m), make([]byte, m))
			}
			r.f.next(r.now)
			if len(r.f.tries) > maxMetaTries || r.held() > maxMetaHeld {
				t.Fatalf("%d attempts hold %d bytes", len(r.f.tries), r.held())
			}
			for _, x := range r.f.tries {
				for i := range x.pieces {
					if x.pieces[i].out < 0 {
						t.Fatal("fewer than no requests")
					}
				}
			}
		}
	})
}
