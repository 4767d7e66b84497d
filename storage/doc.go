// Package storage keeps torrents' payload and what is known of it. One actor per
// device owns the queues; disk and hash workers beneath it do what blocks. Blocks
// come in as slots of a slab, are hashed from memory as they come in order, and
// are written as whole verified pieces; nothing is read again to be hashed.
package storage
