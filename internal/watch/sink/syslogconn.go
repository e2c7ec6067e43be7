package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// syslogSink sends to one receiver and connects again when it was lost. The
// fan-out repeats a Send that failed, with growing pauses.
type syslogSink struct {
	format  syslogFormat
	to      target
	tls     *tls.Config
	timeout time.Duration

	mu   sync.Mutex
	conn net.Conn
	gone chan struct{} // closed when the receiver hung up; nil for datagrams
	via  string        // unixgram or unix, once it is known
}

func newSyslog(c *Config, place *Place) (*syslogSink, error) {
	to, err := c.syslogTarget()
	if err != nil {
		return nil, err
	}
	facility, _ := facilityNumber(c.Facility) // validated
	s := &syslogSink{to: to, timeout: c.Timeout, format: syslogFormat{
		facility: facility, host: place.Host, app: syslogApp, enterprise: c.Enterprise, most: c.MaxSize,
	}}
	if place.PID > 0 {
		s.format.pid = strconv.Itoa(place.PID)
	}
	if s.timeout == 0 {
		s.timeout = syslogTimeout
	}
	if s.format.enterprise == 0 {
		s.format.enterprise = exampleEnterprise
	}
	if s.format.most == 0 {
		s.format.most = 8192
		if to.network == "udp" {
			s.format.most = 2048
		}
	}
	if to.network == "tls" {
		if s.tls, err = tlsConfig(c); err != nil {
			return nil, err
		}
		s.tls.ServerName = to.host
	}
	return s, nil
}

func (s *syslogSink) Send(ctx context.Context, n *Notice) error {
	msg := s.format.message(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.connect(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(s.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = s.conn.SetWriteDeadline(deadline)
	if _, err := s.conn.Write(frame(s.via, msg)); err != nil {
		s.drop()
		if errors.Is(err, syscall.EMSGSIZE) {
			return permanentf("send to syslog %s: %d bytes are too many for it; write a smaller max-size", s.to.addr, len(msg))
		}
		return fmt.Errorf("send to syslog %s: %w", s.to.addr, err)
	}
	return nil
}

// connect has a connection that the receiver has not ended.
func (s *syslogSink) connect(ctx context.Context) error {
	select {
	case <-s.gone:
		s.drop()
	default:
	}
	if s.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, via, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to syslog: %w", err)
	}
	s.conn, s.via = conn, via
	if via != "udp" && via != "unixgram" {
		s.gone = make(chan struct{})
		go awaitEnd(conn, s.gone)
	}
	return nil
}

func (s *syslogSink) dial(ctx context.Context) (conn net.Conn, via string, err error) {
	var d net.Dialer
	switch s.to.network {
	case "unix":
		if conn, err = d.DialContext(ctx, "unixgram", s.to.addr); err == nil {
			return conn, "unixgram", nil
		}
		if !errors.Is(err, syscall.EPROTOTYPE) {
			return nil, "", err
		}
		conn, err = d.DialContext(ctx, "unix", s.to.addr)
		return conn, "unix", err
	case "tls":
		conn, err = (&tls.Dialer{NetDialer: &d, Config: s.tls}).DialContext(ctx, "tcp", s.to.addr)
		return conn, "tls", err
	}
	conn, err = d.DialContext(ctx, s.to.network, s.to.addr)
	return conn, s.to.network, err
}

// awaitEnd reads until the receiver ends the connection: a syslog receiver
// never says anything. Without it the first message after the end would be
// written into the void.
func awaitEnd(conn net.Conn, gone chan<- struct{}) {
	defer close(gone)
	b := make([]byte, 512)
	for {
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}

func (s *syslogSink) drop() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	s.conn, s.gone = nil, nil
}

func (s *syslogSink) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	return nil
}
