package agent_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/agent"
	"byline/internal/runs"
)

var update = flag.Bool("update", false, "write docs/graphs.md anew")

// The page of the documentation shows the graphs as they are.
func TestGeneratedGraphs(t *testing.T) {
	var b strings.Builder
	b.WriteString("# How the writer works\n\nMade from the code by `make generate`; `byline graph` prints the same. A node is done once: its state is kept behind it, and what it paid for is kept step by step.\n")
	for _, g := range agent.Graphs() {
		fmt.Fprintf(&b, "\n## %s\n\n```mermaid\n%s```\n", g.Name, g.Mermaid)
	}
	const path = "../../docs/graphs.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), b.String()); diff != "" {
		t.Errorf("%s is old; run make generate:\n%s", path, diff)
	}
}

// walk is a thread in memory. A step that fails is not kept, as in a journal.
type walk struct {
	kept  map[string]agent.Kept
	state struct {
		Way   []string
		Count int
	}
	done []string
}

func (w *walk) State() any { return &w.state }

func (w *walk) Once(ctx context.Context, key string, out any, do func(context.Context) ([]runs.NewEvent, error)) error {
	return agent.OnceIn(ctx, w.kept, key, out, func(ctx context.Context) ([]runs.NewEvent, error) {
		w.done = append(w.done, key)
		return do(ctx)
	})
}

type node = agent.Node[*walk]

func goes(next string) func(*walk, context.Context) (string, []runs.NewEvent, error) {
	return func(w *walk, _ context.Context) (string, []runs.NewEvent, error) {
		w.state.Way = append(w.state.Way, next)
		return next, nil, nil
	}
}

func TestGraphGoesOnBehindItsLastCheckpoint(t *testing.T) {
	broken := true
	g := agent.Graph[*walk]{Name: "g", Nodes: []node{
		{Name: "a", Step: goes("b"), To: []string{"b"}},
		{Name: "b", Step: func(w *walk, _ context.Context) (string, []runs.NewEvent, error) {
			if w.state.Count++; w.state.Count < 3 {
				return "a", nil, nil
			}
			return "c", nil, nil
		}, To: []string{"a", "c"}},
		{Name: "c", Step: func(*walk, context.Context) (string, []runs.NewEvent, error) {
			if broken {
				return "", nil, errors.New("broken")
			}
			return agent.End, nil, nil
		}, To: []string{agent.End}},
	}}
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	kept := map[string]agent.Kept{}
	first := &walk{kept: kept}
	if err := g.Run(t.Context(), first); err == nil || err.Error() != "broken" {
		t.Fatalf("got %v", err)
	}
	broken = false
	second := &walk{kept: kept}
	if err := g.Run(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "a#2", "b#2", "a#3", "b#3", "c"}, first.done); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"c"}, second.done); diff != "" {
		t.Error(diff)
	}
	if second.state.Count != 3 || len(second.state.Way) != 3 {
		t.Errorf("state %+v", second.state)
	}
}

func TestGraphIsStopped(t *testing.T) {
	for name, tc := range map[string]struct {
		nodes []node
		want  string
	}{
		"a way that is none": {[]node{{Name: "a", Step: goes("c"), To: []string{"b"}}, {Name: "b", Step: goes(agent.End), To: []string{agent.End}}}, `goes to "c"`},
		"round and round":    {[]node{{Name: "a", Step: goes("a"), To: []string{"a", agent.End}}}, "came to no end"},
	} {
		t.Run(name, func(t *testing.T) {
			err := agent.Graph[*walk]{Name: "g", Nodes: tc.nodes}.Run(t.Context(), &walk{kept: map[string]agent.Kept{}})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCheckOfGraphs(t *testing.T) {
	n := func(name string, to ...string) node { return node{Name: name, Step: goes(agent.End), To: to} }
	for name, tc := range map[string]struct {
		nodes []node
		want  []string
	}{
		"right":        {[]node{n("a", "b", agent.End), n("b", "a")}, nil},
		"empty":        {nil, []string{"has no nodes"}},
		"dangling":     {[]node{n("a", "b")}, []string{`leads to "b", which does not exist`, "node a never comes to an end"}},
		"unreachable":  {[]node{n("a", agent.End), n("b", agent.End)}, []string{"nothing leads to node b"}},
		"endless":      {[]node{n("a", "b", agent.End), n("b", "b")}, []string{"node b never comes to an end"}},
		"twice":        {[]node{n("a", "a", agent.End), n("a", agent.End)}, []string{`two nodes "a"`}},
		"a false name": {[]node{n(agent.End, agent.End)}, []string{"that is no name"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := agent.Graph[*walk]{Name: "g", Nodes: tc.nodes}.Check()
			if (err == nil) != (tc.want == nil) {
				t.Fatal(err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not said: %v", w, err)
				}
			}
		})
	}
}

func TestEach(t *testing.T) {
	var now, most atomic.Int64
	var mu sync.Mutex
	var order []int
	err := agent.Each(t.Context(), 20, 3, func(_ context.Context, i int) error {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		mu.Lock()
		order = append(order, i)
		mu.Unlock()
		return nil
	})
	if err != nil || len(order) != 20 || most.Load() > 3 {
		t.Errorf("%v, %d calls, %d at a time", err, len(order), most.Load())
	}
	boom := errors.New("boom")
	var calls atomic.Int64
	err = agent.Each(t.Context(), 100, 2, func(ctx context.Context, i int) error {
		if calls.Add(1); i == 1 {
			return boom
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, boom) || calls.Load() > 4 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
	if err := agent.Each(t.Context(), 1, 1, func(context.Context, int) error { panic("oh") }); err == nil || !strings.Contains(err.Error(), "panic: oh") {
		t.Errorf("a panic gives %v", err)
	}
}

func TestGraphsOfTheHouse(t *testing.T) {
	if err := agent.CheckGraphs(); err != nil {
		t.Error(err)
	}
}
