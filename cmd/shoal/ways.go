package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utpanacrolix"
	"github.com/shoal-bt/shoal/transport/utpnative"
)

// wayFlags say how peers are connected to.
type wayFlags struct {
	transports []string
	encryption string
}

// transportNames are what --transport knows. The second implementation of uTP is there
// to compare with the first: whoever has neither a reason nor a doubt wants "utp".
var transportNames = map[string]func(transport.Env) transport.Transport{
	"tcp":           transport.TCP,
	"utp":           utpnative.Make,
	"utp-anacrolix": utpanacrolix.Make,
}

// register adds the flags.
func (o *wayFlags) register(f *pflag.FlagSet) {
	f.StringSliceVar(&o.transports, "transport", []string{"tcp", "utp"},
		"`LIST` of the transports to use, the preferred first: tcp, utp; utp-anacrolix is another utp")
	f.StringVar(&o.encryption, "encryption", mse.Prefer.String(),
		"`POLICY` of connections: off, allow, prefer or require encryption")
}

// apply says it to an engine.
func (o *wayFlags) apply(cfg *engine.Config) (err error) {
	if cfg.Encryption, err = mse.ParsePolicy(o.encryption); err != nil {
		return fail(exitUsage, "--encryption %s: want off, allow, prefer or require", o.encryption)
	}
	for i, name := range o.transports {
		make, known := transportNames[name]
		if !known || slices.Contains(o.transports[:i], name) {
			return fail(exitUsage, "--transport %s: want tcp, utp or both, with a comma between", strings.Join(o.transports, ","))
		}
		cfg.Transports = append(cfg.Transports, make)
	}
	if slices.Contains(o.transports, "utp") && slices.Contains(o.transports, "utp-anacrolix") {
		return fail(exitUsage, "--transport %s: utp and utp-anacrolix are the same protocol: choose one", strings.Join(o.transports, ","))
	}
	if len(cfg.Transports) == 0 {
		return fail(exitUsage, "--transport: want tcp, utp or both, with a comma between")
	}
	return nil
}
