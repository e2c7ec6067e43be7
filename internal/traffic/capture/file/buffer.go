package file

import (
	"sync"
	"sync/atomic"
)

const (
	// bufferSize is what one read asks for. Measured: a buffer that stays in
	// the second-level cache until its packets were looked at makes the whole
	// twice as fast as one of 1 MiB; the more frequent reads cost nothing.
	bufferSize = 1 << 17
	// keptBuffers bounds what the pool holds back from the collector.
	keptBuffers = 32
)

// buffer is a piece of the file. refs counts its users: the source while it
// reads into it, and each batch that has packets in it.
type buffer struct {
	bytes   []byte
	refs    atomic.Int32
	release func() // bound once, so that handing out a batch allocates nothing
}

// only reports that nobody but the source has the buffer. As only the source
// gives it away, that stays true until it does.
func (b *buffer) only() bool { return b.refs.Load() == 1 }

// pool keeps buffers for reuse, the one used last on top: it may still be in
// the cache.
type pool struct {
	mu   sync.Mutex
	free []*buffer
}

// take gives a buffer of the size with one user.
func (p *pool) take(size int) *buffer {
	b := p.pop(size)
	if b == nil {
		b = &buffer{bytes: make([]byte, size)}
		b.release = func() {
			if b.refs.Add(-1) == 0 {
				p.put(b)
			}
		}
	}
	b.refs.Store(1)
	return b
}

func (p *pool) pop(size int) *buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if size != bufferSize || last < 0 {
		return nil
	}
	b := p.free[last]
	p.free[last] = nil
	p.free = p.free[:last]
	return b
}

// put takes a buffer back; larger ones than usual are left to the collector.
func (p *pool) put(b *buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b.bytes) == bufferSize && len(p.free) < keptBuffers {
		p.free = append(p.free, b)
	}
}
