package cli

import "context"

func kernelTraffic(ctx context.Context, s *streams, f *trafficFlags) (bool, error) {
	return false, nil
}
