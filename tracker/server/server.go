package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a running tracker. It owns its sockets and goroutines.
type Server struct {
	cfg   Config
	store *store
	addr  netip.AddrPort
	start time.Time

	web    *http.Server
	tcp    net.Listener
	udp    *net.UDPConn
	stop   chan struct{}
	closed sync.Once
	unhook func() bool
	wg     sync.WaitGroup

	closeErr error // of shut

	http, packets, refused atomic.Uint64
}

// portTries is how often another port is tried when the system's choice for TCP is
// taken for UDP.
const portTries = 20

// Listen starts a tracker on host:port, for TCP and UDP. Port 0 picks one that is
// free for both. The tracker ends with Close, or with the context.
func Listen(ctx context.Context, addr string, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if cfg.NoHTTP && cfg.NoUDP {
		return nil, errors.New("tracker: neither HTTP nor UDP")
	}
	s := &Server{cfg: cfg, start: time.Now(), stop: make(chan struct{})}
	s.store = newStore(&s.cfg)
	if err := s.bind(ctx, addr); err != nil {
		return nil, fmt.Errorf("tracker: %w", err)
	}
	s.run(ctx)
	return s, nil
}

// bind opens both sockets on one port.
func (s *Server) bind(ctx context.Context, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := s.bindOnce(ctx, addr)
		if err == nil || port != "0" || try == portTries {
			return err
		}
	}
}

func (s *Server) bindOnce(ctx context.Context, addr string) (err error) {
	var lc net.ListenConfig
	if !s.cfg.NoHTTP {
		if s.tcp, err = lc.Listen(ctx, "tcp", addr); err != nil {
			return err
		}
		s.addr = s.tcp.Addr().(*net.TCPAddr).AddrPort()
		host, _, _ := net.SplitHostPort(addr)
		addr = net.JoinHostPort(host, fmt.Sprint(s.addr.Port()))
	}
	if !s.cfg.NoUDP {
		pc, err := lc.ListenPacket(ctx, "udp", addr)
		if err != nil {
			if s.tcp != nil {
				s.tcp.Close()
			}
			return err
		}
		s.udp = pc.(*net.UDPConn)
		if s.cfg.NoHTTP {
			s.addr = s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
		}
		// Announces come in bursts; the default holds a few hundred of them.
		_ = s.udp.SetReadBuffer(4 << 20) // as much as the system allows
	}
	s.addr = netip.AddrPortFrom(s.addr.Addr().Unmap(), s.addr.Port())
	return nil
}

func (s *Server) run(ctx context.Context) {
	if s.tcp != nil {
		s.web = &http.Server{
			Handler:           s,
			ReadHeaderTimeout: 10 * time.Second,
			WriteTimeout:      20 * time.Second,
			IdleTimeout:       30 * time.Second,
			MaxHeaderBytes:    maxQuery,
			ErrorLog:          log.New(logWriter{s.cfg.Logger}, "", 0),
		}
		s.wg.Go(func() {
			if err := s.web.Serve(s.tcp); !errors.Is(err, http.ErrServerClosed) {
				s.cfg.Logger.Error("tracker: HTTP ended", "err", err)
			}
		})
	}
	if s.udp != nil {
		key := newCookieKey()
		for range min(runtime.GOMAXPROCS(0), 8) {
			s.wg.Go(func() { s.serveUDP(key) })
		}
	}
	s.wg.Go(s.sweep)
	s.unhook = context.AfterFunc(ctx, s.shut)
}

// logWriter passes what net/http has to say to the logger.
type logWriter struct{ l *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.l.Debug("tracker: HTTP", "msg", string(p))
	return len(p), nil
}

// serveUDP answers packets until the socket is closed.
func (s *Server) serveUDP(key [16]byte) {
	u := &udpWorker{s: s, cookies: newCookies(key)}
	buf := make([]byte, 16+20*maxScrape+maxURLData)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // Windows reports a client's closed port here
		}
		s.packets.Add(1)
		peer := netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
		if out := u.handle(buf[:n], peer, s.now()); len(out) > 0 {
			_, _ = s.udp.WriteToUDPAddrPort(out, from) // lost like any packet
		}
	}
}

// sweep drops silent peers now and then.
func (s *Server) sweep() {
	every := min(max(s.cfg.PeerTTL/4, 100*time.Millisecond), sweepAtLeast)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.store.sweep(s.now())
		case <-s.stop:
			return
		}
	}
}

// now is in seconds since some moment; it never is 0, which means "not seen".
func (s *Server) now() int64 { return int64(time.Since(s.start)/time.Second) + 1 + 3*cookieLife }

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// interval is a duration as clients are told it, in seconds.
func interval(d time.Duration) int64 { return max(seconds(d), 1) }

// Addr is where the tracker listens, with the port that was chosen.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Stats returns the tracker's numbers.
func (s *Server) Stats() Stats {
	st := s.store.stats()
	st.HTTP, st.UDP, st.Refused = s.http.Load(), s.packets.Load(), s.refused.Load()
	return st
}

// Close ends the tracker and waits until all its goroutines have ended. The error
// is that of closing the sockets.
func (s *Server) Close() error {
	s.unhook()
	s.shut()
	s.wg.Wait()
	return s.closeErr
}

// shut closes the sockets.
func (s *Server) shut() {
	s.closed.Do(func() {
		close(s.stop)
		if s.web != nil {
			s.closeErr = s.web.Close()
		}
		if s.udp != nil {
			s.closeErr = errors.Join(s.closeErr, s.udp.Close())
		}
	})
}
