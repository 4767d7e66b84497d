package wire

import "strconv"

// ID says what a message is: 0..255 as on the wire, and KeepAlive, which has none.
type ID int16

// The messages. Sources: BEP 3 (0-8), BEP 5 (9), BEP 6 (13-17), BEP 10 (20),
// BEP 52 (21-23).
const (
	KeepAlive     ID = -1 // length 0, no id on the wire
	Choke         ID = 0
	Unchoke       ID = 1
	Interested    ID = 2
	NotInterested ID = 3
	Have          ID = 4
	Bitfield      ID = 5
	Request       ID = 6
	Piece         ID = 7
	Cancel        ID = 8
	Port          ID = 9
	Suggest       ID = 13
	HaveAll       ID = 14
	HaveNone      ID = 15
	Reject        ID = 16
	AllowedFast   ID = 17
	Extended      ID = 20
	HashRequest   ID = 21
	Hashes        ID = 22
	HashReject    ID = 23
)

// shape is the layout of a message's body.
type shape uint8

const (
	unknown shape = iota
	empty         // nothing
	index         // index 4
	span          // index 4, begin 4, length 4
	port          // port 2
	block         // index 4, begin 4, data
	blob          // bytes
	tagged        // extended id 1, bytes
)

// kinds lists every message known here.
var kinds = [...]struct {
	name  string
	shape shape
}{
	Choke:         {"choke", empty},
	Unchoke:       {"unchoke", empty},
	Interested:    {"interested", empty},
	NotInterested: {"not-interested", empty},
	Have:          {"have", index},
	Bitfield:      {"bitfield", blob},
	Request:       {"request", span},
	Piece:         {"piece", block},
	Cancel:        {"cancel", span},
	Port:          {"port", port},
	Suggest:       {"suggest", index},
	HaveAll:       {"have-all", empty},
	HaveNone:      {"have-none", empty},
	Reject:        {"reject", span},
	AllowedFast:   {"allowed-fast", index},
	Extended:      {"extended", tagged},
	HashRequest:   {"hash-request", blob},
	Hashes:        {"hashes", blob},
	HashReject:    {"hash-reject", blob},
}

func (id ID) shape() shape {
	if id < 0 || int(id) >= len(kinds) {
		return unknown
	}
	return kinds[id].shape
}

// Known reports whether this package reads and writes messages of this id.
func (id ID) Known() bool { return id == KeepAlive || id.shape() != unknown }

// String names the message as in the field's literature, "not-interested".
func (id ID) String() string {
	switch {
	case id == KeepAlive:
		return "keep-alive"
	case id.Known():
		return kinds[id].name
	}
	return "message " + strconv.Itoa(int(id))
}
