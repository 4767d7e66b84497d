package archtest

// decoders is the list of all that reads bytes from outside, with its fuzz target. The
// targets are run by .ci/fuzz; their corpora by every go test.
var decoders = DecoderTable{
	Packages: []string{
		"bencode", "metainfo", "wire", "internal/bits", "internal/ipclass", "pex", "lsd", "dht", "tracker",
		"tracker/server", "transport", "transport/mse", "transport/utp", "transport/utpanacrolix", "transport/utpnative",
		"storage", "engine",
	},
	Fuzzed: map[string]string{
		"bencode.Parse":       "FuzzParse",
		"bencode.ParsePrefix": "FuzzParse",
		"bencode.FromJSON":    "FuzzFromJSON",

		"metainfo.Load":             "FuzzLoad",
		"metainfo.Options.Load":     "FuzzLoad",
		"metainfo.parseFile":        "FuzzLoad",
		"metainfo.LoadInfo":         "FuzzLoadInfo",
		"metainfo.Options.LoadInfo": "FuzzLoadInfo",
		"metainfo.ParseLink":        "FuzzMagnet",
		"metainfo.ParseMagnet":      "FuzzMagnet",
		"metainfo.ParseHostPort":    "FuzzMagnet",
		"metainfo.ParseHash":        "FuzzMagnet",
		"metainfo.parseV1":          "FuzzMagnet",
		"metainfo.parseV2":          "FuzzMagnet",
		"metainfo.ParsePath":        "FuzzPath",
		"metainfo.decodeRune":       "FuzzPath",

		"wire.Parse":                "FuzzParse",
		"wire.parse":                "FuzzParse",
		"wire.Splitter.Next":        "FuzzSplitter",
		"wire.ParseHandshake":       "FuzzParseHandshake",
		"wire.ParseExtHandshake":    "FuzzParseExtHandshake",
		"internal/bits.ParseWire":   "FuzzParseWire",
		"internal/ipclass.Classify": "FuzzClassify",

		"wire.ParseMetadata": "FuzzMetadata",

		"dht.Parse":              "FuzzParse",
		"dht.Msg.Parse":          "FuzzParse",
		"dht.Msg.Append":         "FuzzMsg",
		"dht.ParseSaved":         "FuzzParseSaved",
		"dht.ItemOf":             "FuzzItemOf",
		"dht.Tokens.Check":       "FuzzToken",
		"dht.PeerStore.Announce": "FuzzStores",
		"dht.ItemStore.Put":      "FuzzStores",
		"dht.New":                "FuzzNode",

		"pex.Parse":      "FuzzParse",
		"pex.Guard.Take": "FuzzGuard",
		"lsd.Parse":      "FuzzParse",

		"tracker.ParseAnnounce":       "FuzzParseAnnounce",
		"tracker.parseBody":           "FuzzParseAnnounce",
		"tracker.ParseScrape":         "FuzzParseScrape",
		"tracker.ParseConnect":        "FuzzPackets",
		"tracker.ParseAnnouncePacket": "FuzzPackets",
		"tracker.ParseScrapePacket":   "FuzzPackets",
		"tracker.ParseURL":            "FuzzURLs",

		"tracker/server.parseAnnounce":    "FuzzParseAnnounce",
		"tracker/server.parseScrape":      "FuzzParseAnnounce",
		"tracker/server.udpWorker.handle": "FuzzUDP",

		"transport.Framer.Push": "FuzzLink",
		"transport.Greet":       "FuzzHandshake",

		"transport/mse.Machine.Feed":     "FuzzGarbage",
		"transport/mse.Machine.bProvide": "FuzzIncoming",
		"transport/mse.Machine.aSelect":  "FuzzOutgoing",

		"transport/utp.Parse":           "FuzzParse",
		"transport/utp.Machine.Receive": "FuzzMachine",
		"transport/utpnative.newMux":    "FuzzMux",

		"transport/utpanacrolix.flows.arrive": "FuzzFlows",
		"transport/utpanacrolix.flows.depart": "FuzzFlows",

		"storage.readState":   "FuzzReadState",
		"storage.parseRecord": "FuzzReadRecords",

		"engine.decodeSaved":     "FuzzDecodeSaved",
		"engine.metaFetch.data":  "FuzzMetaFetch",
		"engine.newPeer":         "FuzzPeer",
		"engine.peer.onExtended": "FuzzExtended",
	},
	Exempt: map[string]string{
		"metainfo.Path.UnmarshalText":        "it is ParsePath",
		"transport/mse.ParsePolicy":          "one of four words of the configuration",
		"transport/mse.Policy.UnmarshalText": "one of four words of the configuration",
		"wire.ParseDontHave":                 "four bytes, all of which mean something",
		"dht.ParseID":                        "what a person types, in one size only",
		"engine.torrent.load":                "reads by decodeSaved",
		"engine.liveKeeper.Load":             "reads a file, as it is",
		"engine.parseSavedPeer":              "of decodeSaved",
	},
}
