package engine

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// savedPeers addresses are remembered over a restart: the ones that worked first.
const savedPeers = 50

// saved are a torrent's own facts, kept by storage as one opaque value. Unknown keys
// are ignored, missing ones are zero, so that versions may differ.
type saved struct {
	downEver, upEver int64
	priority         []uint8
	trackers         []string
	peers            []savedPeer
	renamed          map[metainfo.FileIndex]string
}

// savedPeer is an address that is remembered, and who has named it.
type savedPeer struct {
	addr netip.AddrPort
	mask sourceSet
}

// String writes it for the record.
func (p savedPeer) String() string {
	if l := p.mask.letters(); l != "" {
		return p.addr.String() + " " + l
	}
	return p.addr.String()
}

// parseSavedPeer reads what String wrote.
func parseSavedPeer(text string) (savedPeer, bool) {
	text, letters, _ := strings.Cut(text, " ")
	addr, err := netip.ParseAddrPort(text)
	return savedPeer{addr, sourcesOf(letters)}, err == nil
}

// save gives the torrent's own facts to storage, and does so again later.
func (t *torrent) save(c *actor.Ctx[torrentMsg]) {
	if !t.disk.open {
		return
	}
	s := saved{
		downEver: t.count.downEver + t.count.down, upEver: t.count.upEver + t.count.up,
		priority: t.cfg.options.Priority, trackers: t.cfg.extra, peers: t.goodPeers(), renamed: t.cfg.options.Renamed,
	}
	msg := func(k uint64) storage.Message { return storage.Save{ID: t.cfg.store, Value: s.encode(), Cookie: k} }
	if t.life.closing {
		t.must(actor.Ref[error]{}, nil, msg)
		return
	}
	t.request(actor.Ref[error]{}, nil, msg)
	if !t.life.finishing && t.swarm.live > 0 {
		t.after(c, saveEvery, tickSave)
	}
}

// goodPeers lists addresses worth trying after a restart: connected ones first, then
// those that have worked, then those that have not failed. One of an earlier
// run that is just being tried has not failed.
func (t *torrent) goodPeers() []savedPeer {
	var out []savedPeer
	listed := map[netip.AddrPort]bool{}
	add := func(addr netip.AddrPort, mask sourceSet) {
		if len(out) < savedPeers && !listed[addr] {
			listed[addr] = true
			out = append(out, savedPeer{addr, mask})
		}
	}
	for _, p := range t.swarm.list {
		if x := t.swarm.book.byAddr[p.dial]; p.live && x != nil {
			add(p.dial, x.mask)
		}
	}
	for _, worked := range [2]bool{true, false} {
		for _, x := range t.swarm.book.list {
			if x.fails == 0 && x.worked == worked && (!x.busy || x.mask.has(SourceResume)) {
				add(x.addr, x.mask)
			}
		}
	}
	return out
}

// takeSaved takes an address of an earlier run, with the word of those who named it then.
// A private torrent takes none that it could not have now (BEP 27).
func (t *torrent) takeSaved(p savedPeer, now actor.Time) {
	if t.private() && p.mask.foreign() {
		return
	}
	if t.swarm.book.add(p.addr, SourceResume) {
		t.disc.tally.note(SourceResume, now)
	}
	if x := t.swarm.book.byAddr[p.addr]; x != nil {
		x.mask |= p.mask
	}
}

// load takes the facts of an earlier run.
func (t *torrent) load(value []byte, now actor.Time) {
	if value == nil || t.disk.loaded {
		return
	}
	t.disk.loaded = true
	s, err := decodeSaved(value)
	if err != nil {
		return // storage's checksum held, so it is of another version: begin anew
	}
	t.count.downEver, t.count.upEver = s.downEver, s.upEver
	if len(s.priority) == len(t.cfg.meta.Files) {
		switch {
		case t.cfg.options.Priority == nil:
			t.cfg.options.Priority = s.priority
		case t.cfg.selected: // by a link: its files join those that are wanted already
			t.cfg.options.Priority = t.selection(t.cfg.magnet.Select, s.priority)
		}
	}
	for _, a := range s.peers {
		t.takeSaved(a, now)
	}
	t.addExtra(s.trackers)
	for i, path := range s.renamed { //order: irrelevant
		if _, given := t.cfg.options.Renamed[i]; !given && i >= 0 && int(i) < len(t.cfg.meta.Files) {
			t.noteRenamed(i, path)
		}
	}
}

func (s *saved) encode() []byte {
	m := bencode.M{"down": s.downEver, "up": s.upEver}
	if s.priority != nil {
		m["priority"] = s.priority
	}
	var urls, peers bencode.L
	for _, u := range s.trackers {
		urls = append(urls, u)
	}
	for _, a := range s.peers {
		peers = append(peers, a.String())
	}
	m["trackers"], m["peers"] = urls, peers
	renamed := bencode.M{}
	for i, path := range s.renamed { //order: irrelevant, dictionaries are sorted
		renamed[strconv.Itoa(int(i))] = path
	}
	m["renamed"] = renamed
	b, err := bencode.Encode(m)
	if err != nil {
		panic(err) // only of types that this function chose
	}
	return b
}

func decodeSaved(b []byte) (s saved, err error) {
	v, err := bencode.Parse(b, bencode.Options{})
	if err != nil {
		return s, err
	}
	s.downEver, _ = v.Get("down").Int()
	s.upEver, _ = v.Get("up").Int()
	if p, ok := v.Get("priority").Bytes(); ok {
		s.priority = append([]uint8(nil), p...)
	}
	for u := range v.Get("trackers").List() {
		s.trackers = append(s.trackers, u.Text())
	}
	for a := range v.Get("peers").List() {
		if p, ok := parseSavedPeer(a.Text()); ok {
			s.peers = append(s.peers, p)
		}
	}
	s.renamed = map[metainfo.FileIndex]string{}
	for k, path := range v.Get("renamed").Dict() {
		if i, err := strconv.Atoi(string(k)); err == nil {
			s.renamed[metainfo.FileIndex(i)] = path.Text()
		}
	}
	return s, nil
}
