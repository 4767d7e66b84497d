package server

import (
	"encoding/binary"
	"net/netip"
)

// BEP 15's packets, as package tracker has them from the client's side.
const (
	udpMagic = 0x41727101980

	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3

	announceSize = 98
)

// udpWorker answers packets, one after another. It owns its buffers.
type udpWorker struct {
	s       *Server
	cookies *cookies
	answer  answer
	out     []byte
}

// handle answers one packet; an empty answer means silence.
func (u *udpWorker) handle(p []byte, from netip.AddrPort, now int64) []byte {
	u.out = u.out[:0]
	if len(p) < 16 {
		return nil
	}
	connection := binary.BigEndian.Uint64(p)
	action := binary.BigEndian.Uint32(p[8:])
	if action == actionConnect {
		// BEP 15: "Check whether the packet is at least 16 bytes" and the magic;
		// the answer is no longer than the question, so nobody is amplified.
		if connection != udpMagic {
			return nil
		}
		u.head(actionConnect, p)
		u.out = binary.BigEndian.AppendUint64(u.out, u.cookies.issue(from.Addr(), now))
		return u.out
	}
	if !u.cookies.valid(connection, from.Addr(), now) {
		// Silence would let an honest client whose id is too old wait for 15 s.
		// The answer is shorter than an announce.
		return u.refuse(p, "connection id is not valid")
	}
	switch {
	case action == actionAnnounce && len(p) >= announceSize:
		return u.announce(p, from, now)
	case action == actionScrape:
		return u.scrape(p)
	}
	return u.refuse(p, "malformed request")
}

func (u *udpWorker) head(action uint32, p []byte) {
	u.out = binary.BigEndian.AppendUint32(u.out, action)
	u.out = append(u.out, p[12:16]...)
}

func (u *udpWorker) refuse(p []byte, why string) []byte {
	u.s.refused.Add(1)
	u.out = u.out[:0]
	u.head(actionError, p)
	u.out = append(u.out, why...)
	return u.out
}

func (u *udpWorker) announce(p []byte, from netip.AddrPort, now int64) []byte {
	r := announce{
		hash: [20]byte(p[16:]), peer: [20]byte(p[36:]),
		left: int64(binary.BigEndian.Uint64(p[64:])),
		key:  uint64(binary.BigEndian.Uint32(p[88:])),
		addr: netip.AddrPortFrom(from.Addr(), binary.BigEndian.Uint16(p[96:])),
	}
	ev := binary.BigEndian.Uint32(p[80:])
	if ev > uint32(stopped) {
		ev = uint32(none)
	}
	r.event = event(ev)
	most := maxWant
	if !from.Addr().Is4() {
		most = maxWantUDP6
	}
	// BEP 15: "num_want -1 default".
	r.want = clampWant(int64(int32(binary.BigEndian.Uint32(p[92:]))), most)
	if ip := [4]byte(p[84:88]); u.s.cfg.TrustAddresses && ip != [4]byte{} && from.Addr().Is4() {
		r.addr = netip.AddrPortFrom(netip.AddrFrom4(ip), r.addr.Port())
	}
	if r.addr.Port() == 0 && r.event != stopped {
		return u.refuse(p, "port 0")
	}
	if err := u.s.store.announce(&r, &u.answer, now); err != nil {
		return u.refuse(p, err.Error())
	}
	u.head(actionAnnounce, p)
	u.out = binary.BigEndian.AppendUint32(u.out, uint32(interval(u.s.cfg.Interval)))
	u.out = binary.BigEndian.AppendUint32(u.out, uint32(u.answer.leechers))
	u.out = binary.BigEndian.AppendUint32(u.out, uint32(u.answer.seeds))
	u.out = append(u.out, u.answer.compact[familyOf(from.Addr())]...)
	return u.out
}

// clampWant makes a number of peers of what a client has asked for; negative: the
// default.
func clampWant(n int64, most int) int {
	if n < 0 {
		n = defaultWant
	}
	return int(min(n, int64(most)))
}

func (u *udpWorker) scrape(p []byte) []byte {
	hashes := p[16:]
	n := len(hashes) / 20
	if n == 0 || n > maxScrape {
		return u.refuse(p, "a scrape is of 1 to 74 torrents")
	}
	u.head(actionScrape, p)
	for ; n > 0; n-- {
		c, _ := u.s.store.scrape((*[20]byte)(hashes))
		hashes = hashes[20:]
		u.out = binary.BigEndian.AppendUint32(u.out, uint32(c.seeds))
		u.out = binary.BigEndian.AppendUint32(u.out, uint32(c.finished))
		u.out = binary.BigEndian.AppendUint32(u.out, uint32(c.leechers))
	}
	return u.out
}
