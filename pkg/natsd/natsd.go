// Package natsd runs a NATS server with JetStream inside this process.
//
// Every write is synced to disk before it is acknowledged. The data directory
// is locked: a second server on it gets [ErrLocked]. The store is bounded below
// what the disk has. The package knows nothing of streams and subjects.
package natsd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// ErrNewer reports a data directory that a newer release laid out.
var ErrNewer = errors.New("natsd: data directory is of a newer release")

// ErrLocked reports that another process uses the data directory.
var ErrLocked = errors.New("natsd: data directory is in use by another process")

const (
	readyWait = 10 * time.Minute      // JetStream reads its whole store before it is ready
	readyPoll = 50 * time.Millisecond // between two looks at what the server calls fatal
)

// Options configures a Server. Logger, Dir and MaxPayload are required.
type Options struct {
	Logger        *slog.Logger
	Dir           string // data directory; created if missing
	Listen        string // host:port for NATS clients of other processes; "": none can connect
	MaxPayload    int32  // largest message in bytes
	StoreMaxBytes int64  // what streams may take in all; 0: as at the first start, then half of what is free
	Unsynced      bool   // leave syncing to the server's default: for benchmarks only, an acknowledged write may be lost
}

// Server is a running server.
type Server struct {
	lock          *flock.Flock
	server        *server.Server
	storeMaxBytes int64
}

// Start locks the data directory, starts the server, and returns once JetStream
// is ready.
func Start(o Options) (*Server, error) {
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("natsd: create data directory: %w", err)
	}
	s := &Server{lock: flock.New(filepath.Join(o.Dir, "lock"))}
	locked, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("natsd: lock data directory %s: %w", o.Dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s: stop that process, or choose another --data-dir", ErrLocked, o.Dir)
	}
	if err := s.start(o); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(o Options) error {
	if err := checkVersion(o.Dir); err != nil {
		return err
	}
	var err error
	if s.storeMaxBytes, err = storeMaxBytes(o.Dir, o.StoreMaxBytes); err != nil {
		return err
	}
	options, err := serverOptions(o, s.storeMaxBytes)
	if err != nil {
		return err
	}
	if s.server, err = server.NewServer(options); err != nil {
		return fmt.Errorf("natsd: configure server: %w", err)
	}
	log := newLogger(o.Logger)
	s.server.SetLoggerV2(log, false, false, false)
	go s.server.Start()
	for end := time.Now().Add(readyWait); time.Now().Before(end); {
		if s.server.ReadyForConnections(readyPoll) {
			return nil
		}
		select {
		case text := <-log.fatal:
			return fmt.Errorf("natsd: start server: %s", text)
		default:
		}
	}
	return fmt.Errorf("natsd: server not ready after %s", readyWait)
}

func serverOptions(o Options, storeMaxBytes int64) (*server.Options, error) {
	options := &server.Options{
		ServerName:             "fanfare",
		JetStream:              true,
		StoreDir:               o.Dir,
		JetStreamMaxStore:      storeMaxBytes,
		SyncAlways:             !o.Unsynced,
		MaxPayload:             o.MaxPayload,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		DontListen:             o.Listen == "",
	}
	if o.Listen == "" {
		return options, nil
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("natsd: listen address %q: %w", o.Listen, err)
	}
	options.Host = host
	if options.Port, err = strconv.Atoi(port); err != nil || options.Port < 0 || options.Port > 65535 {
		return nil, fmt.Errorf("natsd: listen address %q: port is not a number from 0 to 65535", o.Listen)
	}
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	return options, nil
}

// InProcessConn connects a client of this process; it makes Server a
// nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) {
	conn, err := s.server.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("natsd: connect in process: %w", err)
	}
	return conn, nil
}

// Addr is where clients of other processes connect, or nil where none can.
func (s *Server) Addr() net.Addr { return s.server.Addr() }

// StoreMaxBytes is what streams may take in all.
func (s *Server) StoreMaxBytes() int64 { return s.storeMaxBytes }

// Stop stops the server, waits until its files are closed, and unlocks the data
// directory.
func (s *Server) Stop() {
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	_ = s.lock.Unlock() // the process's end unlocks it too
}
