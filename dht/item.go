package dht

// Item is a value of BEP 44.
type Item struct {
	Value   []byte // any bencoded value, byte for byte, at most MaxV bytes
	Mutable bool   // the rest is for mutable items
	Key     [32]byte
	Salt    []byte // at most MaxSalt bytes
	Seq     int64
	Sig     [64]byte
}
