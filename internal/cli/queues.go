package cli

import (
	"context"

	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"github.com/portreeve/portreeve/internal/scan"
)

// queues tells the scan how full the packet sockets of other programs are. It
// keeps one netlink socket and one list for as long as it is used.
type queues struct {
	ctx  context.Context
	conn *sockdiag.Conn
	list []scan.Queue
}

// newQueues returns nil where the kernel does not tell: the scan then sweeps
// at full speed.
func newQueues(ctx context.Context) *queues {
	conn, err := sockdiag.Dial()
	if err != nil {
		return nil
	}
	return &queues{ctx: ctx, conn: conn}
}

func (q *queues) close() { _ = q.conn.Close() }

// Queues lists the packet sockets that receive anything.
func (q *queues) Queues() ([]scan.Queue, error) {
	q.list = q.list[:0]
	err := q.conn.Packet(q.ctx, func(s *sockdiag.PacketSocket) error {
		if s.HasMem && s.EtherType != 0 {
			q.list = append(q.list, scan.Queue{ID: s.Inode, Used: uint64(s.Mem.RmemAlloc), Limit: uint64(s.Mem.RcvBuf), Drops: uint64(s.Mem.Drops)})
		}
		return nil
	})
	return q.list, err
}
