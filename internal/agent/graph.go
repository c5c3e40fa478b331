package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"byline/internal/fault"
	"byline/internal/runs"
)

// End is where a graph ends.
const End = "end"

// Thread is a run on its way through a graph.
type Thread interface {
	// Once does a step that must not be done twice (runs.Job.Once).
	Once(ctx context.Context, key string, out any, do func(ctx context.Context) ([]runs.NewEvent, error)) error
	// State gives a pointer to all that nodes hand on. It is kept as JSON behind each node.
	State() any
}

// Node is a step of a graph. To are the nodes that may come next; Step says which of them does, and gives the events to be written
// with the checkpoint. A node that is interrupted by a crash is begun again: what must not be done twice in it are steps of their own.
type Node[T Thread] struct {
	Name string
	Step func(t T, ctx context.Context) (next string, events []runs.NewEvent, err error) // the form of a method's expression
	To   []string
}

// Graph is nodes and the ways between them; the first one is where a thread begins.
type Graph[T Thread] struct {
	Name  string
	Nodes []Node[T]
}

// checkpoint is what is kept behind a node.
type checkpoint struct {
	Next  string          `json:"next"`
	State json.RawMessage `json:"state"`
}

// maxVisits is how many nodes a thread may go through; a graph that goes round and round is stopped.
const maxVisits = 60

// Run takes a thread from the first node to the end. Nodes that an earlier attempt has done are not done again: their checkpoints
// give the state.
func (g Graph[T]) Run(ctx context.Context, t T) error {
	at := g.Nodes[0].Name
	visits := map[string]int{}
	for n := 0; at != End; n++ {
		if n == maxVisits {
			return fault.New(fault.Invalid, "too_many_steps", "This went through %d steps and came to no end.", maxVisits)
		}
		i := g.find(at)
		if i < 0 {
			return fmt.Errorf("graph %s has no node %q", g.Name, at)
		}
		node := g.Nodes[i]
		visits[at]++
		var c checkpoint
		err := t.Once(ctx, visitKey(at, visits[at]), &c, func(ctx context.Context) ([]runs.NewEvent, error) {
			next, events, err := node.Step(t, ctx)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(node.To, next) {
				return nil, fmt.Errorf("graph %s: node %s goes to %q, which is none of its ways", g.Name, node.Name, next)
			}
			c.Next = next
			c.State, err = json.Marshal(t.State())
			return events, err
		})
		if err != nil {
			return err
		}
		if err := json.Unmarshal(c.State, t.State()); err != nil {
			return fmt.Errorf("read checkpoint of node %s: %w", at, err)
		}
		at = c.Next
	}
	return nil
}

// visitKey names the n-th visit of a node.
func visitKey(node string, n int) string {
	if n == 1 {
		return node
	}
	return fmt.Sprintf("%s#%d", node, n)
}

func (g Graph[T]) find(name string) int {
	return slices.IndexFunc(g.Nodes, func(n Node[T]) bool { return n.Name == name })
}

// Check tells what is wrong with a graph: ways that lead nowhere, nodes that nothing leads to, nodes without a way to the end.
func (g Graph[T]) Check() error {
	if len(g.Nodes) == 0 {
		return fmt.Errorf("graph %s has no nodes", g.Name)
	}
	var wrong []error
	reached, ends := map[string]bool{g.Nodes[0].Name: true}, map[string]bool{End: true}
	for i, n := range g.Nodes {
		if n.Name == End || n.Name == "" || g.find(n.Name) != i {
			wrong = append(wrong, fmt.Errorf("graph %s: there are two nodes %q, or that is no name", g.Name, n.Name))
		}
		for _, to := range n.To {
			if to != End && g.find(to) < 0 {
				wrong = append(wrong, fmt.Errorf("graph %s: node %s leads to %q, which does not exist", g.Name, n.Name, to))
			}
		}
	}
	for range g.Nodes { // as many rounds as the longest way has nodes
		for _, n := range g.Nodes {
			for _, to := range n.To {
				reached[to] = reached[to] || reached[n.Name]
				ends[n.Name] = ends[n.Name] || ends[to]
			}
		}
	}
	for _, n := range g.Nodes {
		if !reached[n.Name] {
			wrong = append(wrong, fmt.Errorf("graph %s: nothing leads to node %s", g.Name, n.Name))
		}
		if !ends[n.Name] {
			wrong = append(wrong, fmt.Errorf("graph %s: node %s never comes to an end", g.Name, n.Name))
		}
	}
	return errors.Join(wrong...)
}

// Mermaid draws a graph.
func (g Graph[T]) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	fmt.Fprintf(&b, "  start((start)) --> %s\n", g.Nodes[0].Name)
	for _, n := range g.Nodes {
		for _, to := range n.To {
			if to == End {
				to = "stop((end))" // "end" is a word of Mermaid's own
			}
			fmt.Fprintf(&b, "  %s --> %s\n", n.Name, to)
		}
	}
	return b.String()
}

// Each calls do for 0 to n-1, limit at a time, in order of their begin. The first error ends the context of the others; it is given
// when all have returned.
func Each(ctx context.Context, n, limit int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	places := make(chan struct{}, max(limit, 1))
	for i := range n {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil { // the worker recovers panics of its own goroutine only
					cancel(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
				}
				<-places
			}()
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
