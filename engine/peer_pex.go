package engine

// onPEX takes a message of ut_pex (BEP 11).
func (p *peer) onPEX([]byte) error { return nil }
