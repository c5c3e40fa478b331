//go:build !race

package summarize_test

const slower = 1
