//go:build !unix

package pdf

import "context"

// withMemory leaves guests' memory to Go.
func withMemory(ctx context.Context) context.Context { return ctx }
