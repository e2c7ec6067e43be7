package host

import (
	"context"
	"fmt"
	"runtime"
)

func (r *Reader) spaces(ctx context.Context, netns string) ([]Space, int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := netnsInode("/proc/" + selfFile)
	if err != nil {
		return nil, 0, fmt.Errorf("find the own network namespace (is /proc mounted?): %w", err)
	}
	own := r.ownPlace(self)
	if netns == SelfNetNS {
		return []Space{{own.netns(), own}}, 0, nil
	}
	c, err := r.takeCensus(ctx, self)
	if err != nil {
		return nil, 0, err
	}
	places, err := c.choose(netns)
	if err != nil {
		return nil, 0, err
	}
	out := make([]Space, len(places))
	for i, p := range places {
		out[i] = Space{p.netns(), p}
	}
	return out, c.unseen, nil
}
