package tracker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// BEP 15. All integers are in network byte order.
//
//	connect:  int64 magic, int32 action 0, int32 transaction
//	      ->  int32 0, int32 transaction, int64 connection
//	announce: int64 connection, int32 1, int32 transaction, 20 info_hash, 20 peer_id,
//	          int64 downloaded, left, uploaded, int32 event, 4 ip, int32 key,
//	          int32 num_want, int16 port; then BEP 41's options
//	      ->  int32 1, int32 transaction, int32 interval, leechers, seeders,
//	          n × (4 or 16 ip, int16 port)
//	scrape:   int64 connection, int32 2, int32 transaction, n × 20 info_hash
//	      ->  int32 2, int32 transaction, n × int32 seeders, completed, leechers
//	error:    int32 3, int32 transaction, message
const (
	udpMagic = 0x41727101980

	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3

	optionURLData = 2 // BEP 41
)

// ErrNotOurs says that a packet does not answer the request in question. It is to
// be ignored: anybody can send packets.
var ErrNotOurs = errors.New("not an answer to this request")

// AppendConnect appends the packet that asks for a connection id.
func AppendConnect(b []byte, transaction uint32) []byte {
	b = binary.BigEndian.AppendUint64(b, udpMagic)
	b = binary.BigEndian.AppendUint32(b, actionConnect)
	return binary.BigEndian.AppendUint32(b, transaction)
}

// AppendAnnounce appends the packet that announces r.
func AppendAnnounce(b []byte, connection uint64, transaction uint32, r *Request) []byte {
	id := swarmID(r.InfoHash)
	left := r.Facts.Left
	if left < 0 {
		left = unknownLeft
	}
	b = binary.BigEndian.AppendUint64(b, connection)
	b = binary.BigEndian.AppendUint32(b, actionAnnounce)
	b = binary.BigEndian.AppendUint32(b, transaction)
	b = append(b, id[:]...)
	b = append(b, r.PeerID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(max(r.Facts.Downloaded, 0)))
	b = binary.BigEndian.AppendUint64(b, uint64(left))
	b = binary.BigEndian.AppendUint64(b, uint64(max(r.Facts.Uploaded, 0)))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Event))
	b = binary.BigEndian.AppendUint32(b, 0) // BEP 15: "IP address, 0 default": the sender's
	b = binary.BigEndian.AppendUint32(b, r.Key)
	b = binary.BigEndian.AppendUint32(b, uint32(want(r)))
	b = binary.BigEndian.AppendUint16(b, r.Port)
	return appendURLData(b, r.URL)
}

// appendURLData appends path and query of the URL, which is where private trackers
// have their passkeys. BEP 41: "If this option appears several times the pieces
// should be concatenated": one has room for 255 bytes.
func appendURLData(b []byte, raw string) []byte {
	u, err := ParseURL(raw)
	if err != nil {
		return b
	}
	data := u.RequestURI()
	if data == "/" {
		return b
	}
	for len(data) > 0 {
		n := min(len(data), 255)
		b = append(b, optionURLData, byte(n))
		b = append(b, data[:n]...)
		data = data[n:]
	}
	return b
}

// AppendScrape appends the packet that scrapes up to MaxScrape torrents.
func AppendScrape(b []byte, connection uint64, transaction uint32, ids ...[20]byte) []byte {
	b = binary.BigEndian.AppendUint64(b, connection)
	b = binary.BigEndian.AppendUint32(b, actionScrape)
	b = binary.BigEndian.AppendUint32(b, transaction)
	for i := range ids[:min(len(ids), MaxScrape)] {
		b = append(b, ids[i][:]...)
	}
	return b
}

// Transaction returns the transaction id of a tracker's packet.
func Transaction(p []byte) (uint32, bool) {
	if len(p) < 8 {
		return 0, false
	}
	return binary.BigEndian.Uint32(p[4:]), true
}

// open checks a packet's head and returns its body, or the tracker's refusal.
func open(p []byte, action, transaction uint32, need int) ([]byte, error) {
	t, ok := Transaction(p)
	if !ok || t != transaction {
		return nil, ErrNotOurs
	}
	switch got := binary.BigEndian.Uint32(p); {
	case got == actionError:
		return nil, &Failure{clean(p[8:])}
	case got != action || len(p) < need:
		return nil, ErrNotOurs
	}
	return p[8:], nil
}

// ParseConnect reads the connection id.
func ParseConnect(p []byte, transaction uint32) (connection uint64, err error) {
	// BEP 15: "Check whether the packet is at least 16 bytes."
	b, err := open(p, actionConnect, transaction, 16)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// ParseAnnouncePacket reads the answer to an announce. BEP 15: "What the address
// family is ... must be determined from the address family of the underlying UDP
// packet": ipv6 says so.
func ParseAnnouncePacket(p []byte, transaction uint32, ipv6 bool) (Response, error) {
	r := unknown()
	// BEP 15: "Check whether the packet is at least 20 bytes."
	b, err := open(p, actionAnnounce, transaction, 20)
	if err != nil {
		return r, err
	}
	// The fields are int32: what is negative is taken for "not said".
	seconds := int32(binary.BigEndian.Uint32(b))
	r.Interval = min(time.Duration(max(seconds, 0))*time.Second, MaxInterval)
	r.Leechers = max(int32(binary.BigEndian.Uint32(b[4:])), -1)
	r.Seeds = max(int32(binary.BigEndian.Uint32(b[8:])), -1)
	var peers peerList
	if ipv6 {
		peers.compact6(b[12:])
	} else {
		peers.compact4(b[12:])
	}
	r.Peers = peers
	return r, nil
}

// ParseScrapePacket reads the answer to a scrape of n torrents.
func ParseScrapePacket(p []byte, transaction uint32, n int) ([]Counts, error) {
	b, err := open(p, actionScrape, transaction, 8)
	if err != nil {
		return nil, err
	}
	if len(b) < 12*n {
		return nil, fmt.Errorf("answered a scrape of %d torrents with %d bytes", n, len(b))
	}
	out := make([]Counts, n)
	for i := range out {
		b := b[12*i:]
		out[i] = Counts{
			Seeds:    max(int32(binary.BigEndian.Uint32(b)), -1),
			Finished: max(int32(binary.BigEndian.Uint32(b[4:])), -1),
			Leechers: max(int32(binary.BigEndian.Uint32(b[8:])), -1),
		}
	}
	return out, nil
}
