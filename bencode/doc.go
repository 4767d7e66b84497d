// Package bencode reads and writes bencoding (BEP 3, section "bencoding"):
//
//	integer   i42e
//	string    4:spam      (bytes, not text)
//	list      l4:spami1ee
//	dict      d3:cow3:mooe (keys are strings, sorted as raw bytes, unique)
//
// Reading copies nothing. Parse checks the input once, within Limits; the Value
// it answers is a view of those bytes: walking it cannot fail, allocates nothing
// and gives the exact bytes of every part (Value.Raw), as an info-hash needs.
// A Tokenizer is the same check one token at a time.
//
// There are two modes. Strict accepts only the one canonical form. Tolerant, the
// zero Options, also accepts what real files contain: unsorted and repeated keys
// (the first one counts), leading zeros and -0. Neither accepts broken structure.
//
// Writing appends to a slice and is always canonical.
//
// AppendJSON and FromJSON are a JSON view for people and scripts that survives
// the round trip, see AppendJSON.
//
// The package is pure: no I/O, no clock, no state.
package bencode
