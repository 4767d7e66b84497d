package archtest

// What only Linux builds is looked for there only.
func init() {
	decoders.Fuzzed["transport.segmentSize"] = "FuzzSegmentSize"
}
