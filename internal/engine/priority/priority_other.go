//go:build !unix

package priority

// Lower does nothing where it is not known how.
func Lower() {}
