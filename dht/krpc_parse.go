package dht

import "github.com/shoal-bt/shoal/bencode"

// krpcLimits bound the work of one datagram.
var krpcLimits = bencode.Options{Limits: bencode.Limits{Size: MaxReceived, Depth: maxDepth, Tokens: MaxReceived}}

// Parse reads a datagram into m, whose former content is lost. m holds views of b
// afterwards. The error is ErrGarbage, or a *Refusal: then m is a query with a
// transaction id, and its sender may be told what is wrong with it.
//
// Where real nodes are sloppy it is tolerant: order of keys, unknown keys, parts of
// the wrong type that nothing depends on, node lists with a torn end.
func (m *Msg) Parse(b []byte) error {
	m.Reset()
	if len(b) == 0 || len(b) > MaxReceived || b[0] != 'd' {
		return ErrGarbage
	}
	top, err := bencode.Parse(b, krpcLimits)
	if err != nil {
		return ErrGarbage
	}
	return m.top(top)
}

// top reads the outermost dictionary; its parts a, r and e are read once it is known
// what they belong to.
func (m *Msg) top(top bencode.Value) error {
	var body [3]bencode.Value // a, r, e
	for k, v := range top.Dict() {
		switch string(k) {
		case "y":
			m.Kind = kindOf(v)
		case "t":
			m.TID, _ = v.Bytes()
		case "q":
			m.Name, _ = v.Bytes()
		case "v":
			m.Version = short(v, maxText)
		case "ro":
			m.ReadOnly = one(v)
		case "ip":
			m.IP = seenAs(v)
		case "a":
			body[0] = v
		case "r":
			body[1] = v
		case "e":
			body[2] = v
		}
	}
	if len(m.TID) == 0 || len(m.TID) > MaxTID {
		return ErrGarbage
	}
	return m.body(body)
}

func (m *Msg) body(body [3]bencode.Value) error {
	switch m.Kind {
	case KindQuery:
		return m.query(body[0])
	case KindReply:
		return m.reply(body[1])
	case KindError:
		return m.failure(body[2])
	}
	return ErrGarbage
}

func kindOf(v bencode.Value) Kind {
	if b, _ := v.Bytes(); len(b) == 1 {
		return Kind(b[0])
	}
	return 0
}

// query reads the arguments. One whose sender has no valid id is garbage: nothing can
// be done for whoever cannot say who it is, and an answer would only be a reflection.
func (m *Msg) query(a bencode.Value) error {
	m.Method = methodOf(m.Name)
	if m.Method != MethodUnknown {
		m.Name = nil
	}
	if len(m.Name) > maxText || len(m.Name) == 0 && m.Method == MethodUnknown {
		return ErrGarbage
	}
	var refusal *Refusal
	for k, v := range a.Dict() {
		if r := m.argument(string(k), v); r != nil && refusal == nil {
			refusal = r
		}
	}
	if m.Has&HasID == 0 {
		return ErrGarbage
	}
	if refusal == nil {
		refusal = m.complete()
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

func methodOf(name []byte) Method {
	for i := MethodPing; i <= MethodSample; i++ {
		if string(name) == methodNames[i] {
			return i
		}
	}
	return MethodUnknown
}

// argument reads one key of "a".
func (m *Msg) argument(key string, v bencode.Value) *Refusal {
	switch key {
	case "id":
		return m.id(v)
	case "target", "info_hash":
		return m.target(v)
	case "want":
		m.Want = wants(v)
	case "port":
		if n, ok := v.Int(); ok && n > 0 && n <= 0xffff {
			m.Port = uint16(n)
		}
	case "implied_port":
		m.ImpliedPort = nonzero(v)
	case "seed":
		m.Seed = one(v)
	case "noseed":
		m.NoSeed = one(v)
	case "scrape":
		m.Scrape = one(v)
	case "cas":
		return m.number(v, HasCAS, &m.CAS)
	default:
		return m.shared(key, v)
	}
	return nil
}

// shared reads a key that queries and replies have in common: of BEP 44, and tokens.
func (m *Msg) shared(key string, v bencode.Value) *Refusal {
	switch key {
	case "token":
		m.Token = short(v, MaxToken)
	case "v":
		return m.value(v)
	case "k":
		m.K = exactly(v, 32)
	case "sig":
		m.Sig = exactly(v, 64)
	case "salt":
		if m.Salt, _ = v.Bytes(); len(m.Salt) > MaxSalt {
			m.Salt = nil
			return refuseSalt
		}
	case "seq":
		return m.number(v, HasSeq, &m.Seq)
	}
	return nil
}

// Refusals that Parse gives.
var (
	refuseID       = &Refusal{CodeProtocol, "invalid id"}
	refuseTarget   = &Refusal{CodeProtocol, "invalid target or info_hash"}
	refuseNumber   = &Refusal{CodeProtocol, "invalid number"}
	refuseValue    = &Refusal{CodeProtocol, "v is not canonical bencoding"}
	refuseArgument = &Refusal{CodeProtocol, "missing argument"}
	refuseKey      = &Refusal{CodeProtocol, "k, sig and seq belong together"}
	refuseBig      = &Refusal{CodeTooBig, "v is longer than 1000 bytes"}
	refuseSalt     = &Refusal{CodeSaltTooBig, "salt is longer than 64 bytes"}
)

func (m *Msg) id(v bencode.Value) *Refusal {
	if b := exactly(v, IDLen); b != nil {
		m.ID, m.Has = ID(b), m.Has|HasID
		return nil
	}
	return refuseID
}

func (m *Msg) target(v bencode.Value) *Refusal {
	if b := exactly(v, IDLen); b != nil {
		m.Target, m.Has = ID(b), m.Has|HasTarget
		return nil
	}
	return refuseTarget
}

// number reads a number that must be right. BEP 44: "A client MAY also reject any
// message with a negative sequence number."
func (m *Msg) number(v bencode.Value, has Fields, to *int64) *Refusal {
	n, ok := v.Int()
	if !ok || n < 0 {
		return refuseNumber
	}
	*to, m.Has = n, m.Has|has
	return nil
}

// value reads v. BEP 44: "If the value in a put request contains invalid bencoding
// (e.g. a dictionary with unsorted keys), the storing node MUST reject the request and
// SHOULD return an error message with code 203."
func (m *Msg) value(v bencode.Value) *Refusal {
	if len(v.Raw()) > MaxV {
		return refuseBig
	}
	if v.Canonical() != nil {
		return refuseValue
	}
	m.V = v.Raw()
	return nil
}

// complete says which argument a query lacks.
func (m *Msg) complete() *Refusal {
	switch m.Method {
	case MethodFindNode, MethodGetPeers, MethodGet, MethodSample:
		if m.Has&HasTarget == 0 {
			return refuseArgument
		}
	case MethodAnnounce:
		if m.Has&HasTarget == 0 || m.Token == nil || m.Port == 0 && !m.ImpliedPort {
			return refuseArgument
		}
	case MethodPut:
		if m.V == nil || m.Token == nil {
			return refuseArgument
		}
		if signed := m.K != nil; signed != (m.Sig != nil) || signed != (m.Has&HasSeq != 0) {
			return refuseKey
		}
	}
	return nil
}

// reply reads return values. Everything but the id may be missing: what a query needs
// is its asker's to check.
func (m *Msg) reply(r bencode.Value) error {
	for k, v := range r.Dict() {
		m.returned(string(k), v)
	}
	m.Name = nil
	if m.Has&HasID == 0 {
		return ErrGarbage
	}
	return nil
}

// returned reads one key of "r". What is wrong there is as good as missing.
func (m *Msg) returned(key string, v bencode.Value) {
	switch key {
	case "id":
		_ = m.id(v)
	case "nodes":
		m.Nodes, m.Has = contacts(m.Nodes[:0], v, 4, MaxNodes), m.Has|HasNodes
	case "nodes6":
		m.Nodes6, m.Has = contacts(m.Nodes6[:0], v, 16, MaxNodes), m.Has|HasNodes6
	case "values":
		m.Values = peers(m.Values[:0], v)
	case "BFsd":
		m.Seeds = bloomOf(v)
	case "BFpe":
		m.Peers = bloomOf(v)
	case "samples":
		m.samples(v)
	case "interval":
		m.Interval = natural(v)
	case "num":
		m.Num = natural(v)
	default:
		_ = m.shared(key, v)
	}
}

func (m *Msg) samples(v bencode.Value) {
	b, ok := v.Bytes()
	if !ok {
		return
	}
	m.Samples, m.Has = m.Samples[:0], m.Has|HasSamples
	for ; len(b) >= IDLen && len(m.Samples) < MaxSamples; b = b[IDLen:] {
		m.Samples = append(m.Samples, ID(b))
	}
}

// failure reads an error: a list of a code and a text. Some nodes send only a text.
func (m *Msg) failure(e bencode.Value) error {
	m.Name, m.Code = nil, CodeGeneric
	if e.Kind() == bencode.String {
		m.Text = cut(e, maxText)
	}
	for v := range e.List() {
		if n, ok := v.Int(); ok && n > 0 && n < 1<<31 {
			m.Code = int32(n)
		} else if v.Kind() == bencode.String {
			m.Text = cut(v, maxText)
		}
	}
	return nil
}
