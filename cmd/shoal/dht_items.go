package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// itemName is how an item is asked for: by the SHA-1 of what it is, or by the key of
// whoever may change it.
type itemName struct {
	target  dht.ID
	mutable bool
	key     [32]byte
	salt    string
}

// parseItemName reads what get is given: 40 digits are a target, 64 a key, and a link
// to a torrent that changes is its key and salt.
func parseItemName(arg, key, salt string) (n itemName, err error) {
	if isMagnet(arg) {
		m, err := metainfo.ParseMagnet(arg)
		switch {
		case err != nil:
			return n, err
		case m.Mutable == nil:
			return n, fail(exitUsage, "%s: the link names no key (xs=urn:btpk:)", short(arg, 80))
		}
		return itemName{mutable: true, key: m.Mutable.Key, salt: m.Mutable.Salt}, nil
	}
	switch {
	case arg != "" && key != "":
		return n, fail(exitUsage, "give either TARGET-or-KEY or --k, not both")
	case arg == "" && key == "":
		return n, fail(exitUsage, "say with TARGET-or-KEY what to get; see shoal dht get --help")
	case len(arg) == 2*len(n.key) && key == "":
		key = arg
	}
	if key == "" {
		if salt != "" {
			return n, fail(exitUsage, "--salt goes with a key, not with a target")
		}
		n.target, err = parseTarget(arg)
		return n, err
	}
	n.mutable, n.salt = true, salt
	if len(salt) > dht.MaxSalt {
		return n, tooSalty()
	}
	if raw, err := hex.DecodeString(key); err != nil || copy(n.key[:], raw) != len(n.key) || len(raw) != len(n.key) {
		return n, fail(exitUsage, "key %s: want 64 hexadecimal digits", short(key, 80))
	}
	return n, nil
}

func tooSalty() error { return fail(exitUsage, "--salt: at most %d bytes", dht.MaxSalt) }

func newDHTGet(st streams) *cobra.Command {
	var o dhtFlags
	var key, salt string
	c := &cobra.Command{
		Use:   "get [TARGET-or-KEY]",
		Short: "Get an item: by the hash of an immutable one, or by the key of a mutable one",
		Long: `Get an item (BEP 44). 40 hexadecimal digits are the SHA-1 of an immutable one, 64 the
public key of a mutable one, whose newest version is looked for. A text is printed as
it is, other values as shoal bencode decode prints them. Exit code 3: no node has it.`,
		Args: wants("[TARGET-or-KEY]"),
		RunE: func(_ *cobra.Command, args []string) error {
			name, err := parseItemName(strings.Join(args, ""), key, salt)
			if err != nil {
				return err
			}
			return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error { return o.getItem(ctx, st, n, name) })
		},
	}
	o.registerClient(c)
	c.Flags().StringVar(&key, "k", "", "public `KEY` of a mutable item, 64 hexadecimal digits")
	c.Flags().StringVar(&salt, "salt", "", "the mutable item's `SALT`")
	return c
}

// getItem prints an item's value.
func (o *dhtFlags) getItem(ctx context.Context, st streams, n *engine.DHTNode, name itemName) error {
	found, err := n.Get(ctx, name.question())
	if err != nil {
		return err
	}
	it := &found.Item
	v, err := bencode.Parse(it.Value, bencode.Options{})
	if err != nil {
		return fail(exitBadTorrent, "the item is not bencode: %w", err)
	}
	if o.json {
		return printJSON(st, itemJSON(it, v, &found))
	}
	said := effort(found.Effort) + ": " + count(found.Copies, "copy")
	if found.Copies != 1 {
		said = fmt.Sprintf("%s: %d copies", effort(found.Effort), found.Copies)
	}
	if it.Mutable {
		said += fmt.Sprintf(", seq %d", it.Seq)
	}
	fmt.Fprintln(st.err, said)
	_, err = fmt.Fprintln(st.out, valueText(v))
	return err
}

// question asks for the item.
func (n *itemName) question() dht.GetItem {
	return dht.GetItem{Target: n.target, Mutable: n.mutable, Key: n.key, Salt: []byte(n.salt)}
}

// valueText is a bencoded value for people: a text as it is, all else as JSON.
func valueText(v bencode.Value) string {
	if v.Kind() == bencode.String {
		if s := v.Text(); utf8.ValidString(s) && printable(s) == s {
			return s
		}
	}
	return string(bencode.AppendJSON(nil, v, ""))
}

func itemJSON(it *dht.Item, v bencode.Value, found *dht.ItemFound) map[string]any {
	target := it.Target()
	m := effortJSON(map[string]any{
		"target": target.String(), "bencoded": hex.EncodeToString(it.Value), "copies": found.Copies, "closest": found.Closest,
		"value": rawJSON(bencode.AppendJSON(nil, v, "")),
	}, found.Effort)
	if it.Mutable {
		m["k"], m["salt"], m["seq"] = hex.EncodeToString(it.Key[:]), string(it.Salt), it.Seq
		m["sig"] = hex.EncodeToString(it.Sig[:])
	}
	return m
}

// rawJSON is JSON already.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// putFlags are the flags of put.
type putFlags struct {
	dhtFlags
	keyFile  string
	salt     string
	seq      int64
	cas      int64
	infoHash string
	bencoded bool
	cmd      *cobra.Command
}

func newDHTPut(st streams) *cobra.Command {
	var o putFlags
	c := &cobra.Command{
		Use:   "put [flags] [VALUE]",
		Short: "Store an item: an immutable one, or with --key one that can be changed",
		Long: `Store a text as an item (BEP 44) at the nodes closest to it; - reads it from standard
input. What to get it by is printed: the SHA-1 of an immutable item, or with --key the
public key. Nodes forget items after two hours unless they are put again.

--key FILE holds the seed of an ed25519 key: 64 hexadecimal digits, or 32 plain bytes.
A FILE that is not there yet is made, with a new key, for its owner's eyes only.
--seq is by default one more than that of the newest version there is.

--ih HASH instead of VALUE publishes a torrent that changes (BEP 46): whoever has the
printed link downloads the torrent that the key names at the time.`,
		Args: wants("[VALUE]"),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(st, args) },
	}
	o.cmd = c
	o.registerClient(c)
	f := c.Flags()
	f.StringVar(&o.keyFile, "key", "", "`FILE` of the ed25519 seed that signs a mutable item; made if it is missing")
	f.StringVar(&o.salt, "salt", "", "`SALT` that tells a key's items apart, at most 64 bytes")
	f.Int64Var(&o.seq, "seq", 0, "sequence `NUMBER` of this version")
	f.Int64Var(&o.cas, "cas", 0, "store only where the present sequence number is `NUMBER`")
	f.StringVar(&o.infoHash, "ih", "", "publish this `INFO-HASH`")
	f.BoolVar(&o.bencoded, "bencoded", false, "VALUE is bencoded already")
	return c
}

// run carries out the command.
func (o *putFlags) run(st streams, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	value, err := o.value(st, args)
	if err != nil {
		return err
	}
	if len(value) > dht.MaxV {
		return fail(exitUsage, "the value has %d bytes bencoded, items have at most %d", len(value), dht.MaxV)
	}
	if o.keyFile == "" {
		item, err := dht.NewItem(value)
		if err != nil {
			return fail(exitUsage, "%w", err)
		}
		return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error { return o.put(ctx, st, n, dht.PutItem{Item: item}) })
	}
	if _, err := o.config(); err != nil {
		return err // before a key is made
	}
	key, err := loadKey(o.keyFile)
	if err != nil {
		return err
	}
	return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error { return o.putMutable(ctx, st, n, key, value) })
}

// check refuses flags that don't go together.
func (o *putFlags) check(args []string) error {
	changed := o.cmd.Flags().Changed
	if changed("read-only") && o.readOnly {
		return fail(exitUsage, "--read-only: such a node stores nothing")
	}
	o.readOnly = false
	for _, name := range []string{"salt", "seq", "cas", "ih"} {
		if o.keyFile == "" && changed(name) {
			return fail(exitUsage, "--%s is for a mutable item; give a --key FILE, too", name)
		}
	}
	switch {
	case len(o.salt) > dht.MaxSalt:
		return tooSalty()
	case o.seq < 0 || o.cas < 0:
		return fail(exitUsage, "--seq and --cas: want numbers from 0 on")
	case changed("ih") && len(args) > 0:
		return fail(exitUsage, "give either VALUE or --ih, not both")
	case !changed("ih") && len(args) == 0:
		return fail(exitUsage, "say what to put: VALUE, or --ih; see shoal dht put --help")
	}
	return nil
}

// value is what to put, bencoded.
func (o *putFlags) value(st streams, args []string) ([]byte, error) {
	if o.infoHash != "" {
		h, err := metainfo.ParseHash(o.infoHash)
		if err != nil {
			return nil, fail(exitUsage, "--ih: %w", err)
		}
		if !h.HasV1 {
			return nil, fail(exitUsage, "--ih %s: want the 40 digits of a v1 info-hash", o.infoHash)
		}
		return dht.TorrentValue(h.V1), nil
	}
	raw := []byte(args[0])
	if args[0] == "-" {
		var err error
		if raw, err = io.ReadAll(io.LimitReader(st.in, 2*dht.MaxV)); err != nil {
			return nil, err
		}
	}
	if !o.bencoded {
		return bencode.AppendString(nil, raw), nil
	}
	if _, err := bencode.Parse(raw, bencode.Options{Strict: true}); err != nil {
		return nil, fail(exitUsage, "VALUE is not bencoded: %w", err)
	}
	return raw, nil
}

// putMutable signs an item and stores it.
func (o *putFlags) putMutable(ctx context.Context, st streams, n *engine.DHTNode, key ed25519.PrivateKey, value []byte) error {
	name := itemName{mutable: true, salt: o.salt}
	copy(name.key[:], key.Public().(ed25519.PublicKey))
	seq := o.seq
	if !o.cmd.Flags().Changed("seq") {
		found, err := n.Get(ctx, name.question())
		switch {
		case err == nil:
			seq = found.Item.Seq + 1
		case errors.Is(err, dht.ErrNotFound):
			seq = 1
		default:
			return err
		}
	}
	item, err := dht.SignItem(key, []byte(o.salt), value, seq)
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	return o.put(ctx, st, n, dht.PutItem{Item: item, HasCAS: o.cmd.Flags().Changed("cas"), CAS: o.cas})
}

// put stores an item and prints what to get it by.
func (o *putFlags) put(ctx context.Context, st streams, n *engine.DHTNode, q dht.PutItem) error {
	stored, err := n.Put(ctx, q)
	if err != nil {
		return err
	}
	target := q.Item.Target()
	name, link := target.String(), ""
	if q.Item.Mutable {
		name = hex.EncodeToString(q.Item.Key[:])
		if o.infoHash != "" {
			link = (&metainfo.Magnet{Mutable: &metainfo.MutableKey{Key: q.Item.Key, Salt: o.salt}}).String()
		}
	}
	if o.json {
		m := effortJSON(map[string]any{"target": target.String(), "stored": stored.Stored}, stored.Effort)
		if q.Item.Mutable {
			m["k"], m["salt"], m["seq"] = name, o.salt, q.Item.Seq
		}
		if link != "" {
			m["magnet"] = link
		}
		return printJSON(st, m)
	}
	said := fmt.Sprintf("stored at %s; %s", count(stored.Stored, "node"), effort(stored.Effort))
	if q.Item.Mutable {
		said += fmt.Sprintf("; seq %d", q.Item.Seq)
	}
	fmt.Fprintln(st.err, said)
	if link != "" {
		name = link
	}
	_, err = fmt.Fprintln(st.out, name)
	return err
}

// loadKey reads the seed of a key, or makes one.
func loadKey(path string) (ed25519.PrivateKey, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fail(exitIO, "--key: %w", err)
	}
	if len(raw) == ed25519.SeedSize {
		return ed25519.NewKeyFromSeed(raw), nil
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fail(exitIO, "--key %s: not the seed of an ed25519 key: want 64 hexadecimal digits, or 32 bytes", path)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// makeKey makes a key that nobody but its owner may read.
func makeKey(path string) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // it never fails
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fail(exitIO, "--key: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(seed) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
		return nil, fail(exitIO, "--key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
