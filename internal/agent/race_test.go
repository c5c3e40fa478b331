//go:build race

package agent_test

// slower is how many times longer everything may take under the race detector.
const slower = 20
