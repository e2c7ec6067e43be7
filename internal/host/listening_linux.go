package host

import (
	"context"
	"fmt"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
)

func selfNetNS() (exposure.NetNS, error) {
	inode, err := netnsInode("/proc/" + selfFile)
	if err != nil {
		return exposure.NetNS{}, fmt.Errorf("find the own network namespace (is /proc mounted?): %w", err)
	}
	found := map[uint64]*place{inode: {inode: inode}}
	new(Reader).named(found)
	return found[inode].netns(), nil
}

func listenEndpoints(ctx context.Context) ([]exposure.Endpoint, error) {
	conn, err := sockdiag.Dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var out []exposure.Endpoint
	for _, family := range []sockdiag.Family{sockdiag.INET, sockdiag.INET6} {
		req := sockdiag.Request{Family: family, Protocol: sockdiag.TCP, States: sockdiag.StateListen.Mask()}
		err := conn.Inet(ctx, req, func(s *sockdiag.Socket) error {
			out = append(out, exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(s.Src), Port: s.SrcPort})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
