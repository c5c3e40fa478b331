//go:build !linux

package account

// lowerPriority does nothing: threads of other systems have no priority of their own.
func lowerPriority() {}
