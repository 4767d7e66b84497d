package utpnative

import (
	"fmt"
	"io"

	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
)

// Connections may begin with an encrypted handshake (package mse): those that we dial
// if Dial.Encrypt says so, those that come in if their first bytes are not a plain
// handshake. Nobody knows of the link before it is over.

// secure listens to a guest that does not begin like a plain handshake, if it may be
// an encrypted one. first and b are what it has said so far.
func (x *mux) secure(l *link, first, b []byte) bool {
	env := &x.cfg.Env
	in, ok := env.Incoming(x.c.Rand(), func() bool {
		return env.Keys.Admit(l.info.Remote.Addr(), x.c.Now())
	})
	if !ok {
		return false
	}
	l.guest.n = 0
	x.parley(l, in.Start())
	x.converse(l, first)
	if l.fault == nil {
		x.converse(l, b)
	}
	return true
}

// parley begins an encrypted handshake, for which the remote needs a window.
func (x *mux) parley(l *link, m *mse.Machine) {
	l.sec = m
	l.m.Grant(mse.MaxHandshake)
	x.utter(l)
}

// converse carries an encrypted handshake on.
func (x *mux) converse(l *link, b []byte) {
	if err := l.sec.Feed(b); err != nil {
		l.fault = l.broken(transport.RemoteFault, err)
		return
	}
	x.utter(l)
	if !l.sec.Done() {
		return
	}
	res := l.sec.Result()
	l.sec, l.out.enc = nil, res.Out
	l.info.Crypto, l.info.Encrypted = res.Method, res.Method == mse.RC4
	switch {
	case l.guest != nil:
		l.guest.dec = res.In
	case res.In != nil:
		l.in.framer.Decrypt(res.In)
	}
	x.hear(l, res.Left)
}

// utter sends what an encrypted handshake has to say.
func (x *mux) utter(l *link) {
	if b := l.sec.Output(); len(b) > 0 {
		head := x.bufs.get(len(b))
		copy(head, b)
		x.write(l, head, part{head: head, mute: true})
	}
}

// errParley ends a dial whose remote closes instead of shaking hands.
var errParley = fmt.Errorf("closed within the encrypted handshake: %w", io.ErrUnexpectedEOF)
