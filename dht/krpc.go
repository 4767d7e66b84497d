package dht

import (
	"errors"
	"fmt"
	"net/netip"
)

// Caps of KRPC.
const (
	// MaxDatagram is what we send at most. BEP 32: "A node obeying this specification
	// must not send UDP datagrams with a payload larger than 1024 octets". Only a BEP
	// 44 value near its limit makes a message longer.
	MaxDatagram = 1024
	// MaxReceived is the longest datagram that is read.
	MaxReceived = 1500
	// MaxTID caps a transaction id, which is echoed: "typically 2 characters are
	// enough".
	MaxTID = 32
	// MaxToken caps a write token that somebody gave us and wants back.
	MaxToken = 128
	// MaxNodes and MaxValues cap what is read of one reply, each family by itself.
	MaxNodes  = 32
	MaxValues = 128
	// MaxSamples caps the info-hashes of one BEP 51 reply.
	MaxSamples = 64
	// MaxV is the longest value of BEP 44, encoded: "Storing nodes MAY reject put
	// requests where the bencoded form of v is longer than 1000 bytes."
	MaxV = 1000
	// MaxSalt: "The salt string MUST NOT be longer than 64 bytes."
	MaxSalt = 64
	// maxText caps the text of an error and the name of an unknown method.
	maxText = 128
	// maxDepth is how deep a message may nest; a value of BEP 44 is the only part that
	// nests on its own.
	maxDepth = 64
)

// Error codes of BEP 5 and BEP 44.
const (
	CodeGeneric       = 201
	CodeServer        = 202
	CodeProtocol      = 203 // "such as a malformed packet, invalid arguments, or bad token"
	CodeUnknownMethod = 204
	CodeTooBig        = 205 // v
	CodeBadSignature  = 206
	CodeSaltTooBig    = 207
	CodeCASMismatch   = 301
	CodeSeqTooLow     = 302
)

// Kind is the type of a message, the letter under "y".
type Kind uint8

// The kinds.
const (
	KindQuery Kind = 'q'
	KindReply Kind = 'r'
	KindError Kind = 'e'
)

// Method is what a query asks.
type Method uint8

// The methods of BEP 5, 44 and 51. An unknown one keeps its Msg.Name.
const (
	MethodUnknown Method = iota
	MethodPing
	MethodFindNode
	MethodGetPeers
	MethodAnnounce
	MethodGet
	MethodPut
	MethodSample
)

var methodNames = [...]string{"", "ping", "find_node", "get_peers", "announce_peer", "get", "put", "sample_infohashes"}

// String is the name on the wire, "" of an unknown method.
func (m Method) String() string { return methodNames[m] }

// Want are the address families whose nodes a query asks for (BEP 32 "want"). 0 means
// that of the socket it came by.
type Want uint8

// The families.
const (
	WantN4 Want = 1 << iota
	WantN6
)

// Fields says which of those fields are there whose zero value means something else
// than absence. All others are there when they are not empty, zero or false.
type Fields uint16

// The optional fields.
const (
	HasID Fields = 1 << iota
	HasTarget
	HasNodes  // even if there is none
	HasNodes6 // even if there is none
	HasSeq
	HasCAS
	HasSamples // BEP 51: "should always include the samples field in the response, even when it is zero-length"
)

// Msg is one KRPC message with the fields of BEP 5, 32, 33, 42, 43, 44 and 51. A
// parsed one holds views of the datagram: whoever keeps any of its slices copies them.
// A Msg that is used again (Parse, Reset) keeps the room of Nodes, Nodes6, Values and
// Samples.
type Msg struct {
	Kind     Kind
	Method   Method // of a query
	ReadOnly bool   // "ro", of a query (BEP 43)
	Has      Fields

	TID     []byte         // "t", echoed by the answer
	Version []byte         // "v" at the top: the sender's client, may be anything
	IP      netip.AddrPort // "ip": where the answering node saw us (BEP 42); the port may be 0
	Name    []byte         // "q", of an unknown method only

	ID     ID     // of the sender
	Target ID     // "target", "info_hash"
	Token  []byte // write token

	// Of get_peers, announce_peer and find_node.
	Want        Want
	Port        uint16 // of the peer
	ImpliedPort bool   // "the port argument should be ignored and the source port of the UDP packet should be used"
	Seed        bool   // BEP 33
	NoSeed      bool
	Scrape      bool

	// Of replies.
	Nodes    []Contact // IPv4
	Nodes6   []Contact
	Values   []netip.AddrPort // peers, of both families
	Seeds    *Bloom           // "BFsd"
	Peers    *Bloom           // "BFpe"
	Interval int64            // BEP 51, seconds
	Num      int64            // BEP 51
	Samples  []ID             // BEP 51

	// Of get, put and their replies (BEP 44).
	V    []byte // the value, bencoded, byte for byte as it came
	K    []byte // 32 bytes public key
	Sig  []byte // 64 bytes
	Salt []byte
	Seq  int64
	CAS  int64

	// Of errors.
	Code int32
	Text []byte
}

// ErrGarbage is the fault of a datagram that is no KRPC message. Nothing is answered
// to it.
var ErrGarbage = errors.New("no KRPC message")

// Refusal is why a query was not obeyed; it may be answered with an error message
// (Msg.Refuse).
type Refusal struct {
	Code int32
	Text string
}

func (r *Refusal) Error() string { return fmt.Sprintf("error %d: %s", r.Code, r.Text) }

// Parse is Msg.Parse into a new Msg.
func Parse(b []byte) (Msg, error) {
	var m Msg
	err := m.Parse(b)
	return m, err
}

// Reset empties m and keeps its room.
func (m *Msg) Reset() {
	*m = Msg{Nodes: m.Nodes[:0], Nodes6: m.Nodes6[:0], Values: m.Values[:0], Samples: m.Samples[:0]}
}

// Refuse makes m the error message that answers a query.
func (m *Msg) Refuse(tid []byte, r *Refusal) {
	m.Reset()
	m.Kind, m.TID, m.Code, m.Text = KindError, tid, r.Code, []byte(r.Text)
}
