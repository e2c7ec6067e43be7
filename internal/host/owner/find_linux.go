package owner

import "context"

func find(ctx context.Context, q Query) (*Table, error) { return &Table{method: MethodWalk}, nil }
