package main

import (
	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/engine"
)

// finderFlags say how peers are found, and from where they are dialled.
type finderFlags struct {
	bind       string
	peers      []string
	trackers   []string
	noTrackers bool
	noDHT      bool
	noPEX      bool
	noLSD      bool
	private    bool
	bootstrap  []string
	ways       wayFlags
}

// register adds the flags.
func (o *finderFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.bind, "bind", "", "use this local `ADDR-or-IFACE` only, for what comes in and what goes out")
	f.StringArrayVar(&o.peers, "peer", nil, "`HOST:PORT` of a peer (repeat)")
	f.StringArrayVar(&o.trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.BoolVar(&o.noTrackers, "no-trackers", false, "announce to no tracker")
	f.BoolVar(&o.noDHT, "no-dht", false, "take no part in the DHT")
	f.BoolVar(&o.noPEX, "no-pex", false, "exchange no addresses with peers")
	f.BoolVar(&o.noLSD, "no-lsd", false, "look for nobody on the local network")
	f.BoolVar(&o.private, "private", false, "no DHT, PEX or LSD from the first packet, though a link doesn't say that its torrent is private")
	f.StringArrayVar(&o.bootstrap, "dht-bootstrap", nil, "`HOST:PORT` of a node of the DHT to begin with (repeat; replaces the well-known ones)")
	o.ways.register(f)
}

// validate checks what can be checked before anything is sent.
func (o *finderFlags) validate() error {
	if len(o.bootstrap) > 0 && (o.noDHT || o.private) {
		return fail(exitUsage, "--dht-bootstrap goes with neither --no-dht nor --private")
	}
	if err := checkHosts("dht-bootstrap", o.bootstrap); err != nil {
		return err
	}
	return checkTrackers("tracker", o.trackers)
}

// apply says it to an engine: what --private and the like forbid, it does not even
// start.
func (o *finderFlags) apply(cfg *engine.Config) error {
	local, err := localAddr(o.bind)
	if err != nil {
		return err
	}
	cfg.Bind = local
	cfg.NoDHT, cfg.NoPEX, cfg.NoLSD = o.noDHT || o.private, o.noPEX || o.private, o.noLSD || o.private
	cfg.DHTBootstrap = o.bootstrap
	return o.ways.apply(cfg)
}

// applyTo says it to a torrent. Names of peers are looked up.
func (o *finderFlags) applyTo(add *engine.AddOptions) error {
	add.NoTrackers, add.Private = o.noTrackers, o.private
	for _, u := range o.trackers {
		add.Trackers = append(add.Trackers, []string{u})
	}
	for _, p := range o.peers {
		addrs, err := resolvePeer("--peer "+p, p)
		if err != nil {
			return err
		}
		add.Peers = append(add.Peers, addrs...)
	}
	return nil
}
