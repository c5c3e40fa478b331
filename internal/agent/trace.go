package agent

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"byline/internal/llm"
	"byline/internal/runs"
)

// TraceType says what a step of a trace is.
type TraceType string

// The types of steps.
const (
	TraceNode     TraceType = "node"     // of a graph
	TraceModel    TraceType = "model"    // a model was asked
	TraceSearch   TraceType = "search"   // of the library
	TraceTool     TraceType = "tool"     // something outside was used, or a page of the web read
	TraceQuestion TraceType = "question" // a person was asked
	TraceStep     TraceType = "step"     // anything else that is kept
)

// Trace is a step of a run with those within it. Times are zero and contents missing where they are not known, or were purged because a
// document was deleted.
type Trace struct {
	Key     string
	Name    string // for people: the node, the tool, the query, the purpose
	Type    TraceType
	Done    bool
	Attempt int
	Began   time.Time
	Ended   time.Time
	Used    *Used           // by this step itself
	Saw     json.RawMessage // messages to a model, a query, arguments, a question
	Did     json.RawMessage // an answer, hits, an output, a reply, a checkpoint
	Within  []*Trace
}

// Used is what a model was asked for, and the tokens of that; the data of the event usage.
type Used struct {
	Purpose  string `json:"purpose"`
	Provider string `json:"provider"`
	Model    string `json:"model"`
	llm.Usage
}

// modelCall is what the journal keeps of a request to a model.
type modelCall struct {
	Purpose string        `json:"purpose,omitempty"`
	Saw     []llm.Message `json:"saw"` // for whoever wants to know why
	Said    llm.Answer    `json:"said"`
}

// nodeNames are the nodes of all graphs.
var nodeNames = func() map[string]bool {
	names := map[string]bool{}
	for _, list := range [][]string{postGraph.names(), answerGraph.names(), refineGraph.names(), talkGraph.names()} {
		for _, n := range list {
			names[n] = true
		}
	}
	return names
}()

func (g Graph[T]) names() (list []string) {
	for _, n := range g.Nodes {
		list = append(list, n.Name)
	}
	return list
}

// Tracing makes a tree of what a run did: of its journal, and of its log without the tokens. A step is within the one whose key its own
// begins with, else within the node that was under way when it began; what only put texts on the stage is left out.
func Tracing(journal []runs.Step, log []runs.Event) []*Trace {
	t := tracer{at: map[string]*Trace{}, called: map[toolName]json.RawMessage{}}
	for _, e := range log {
		t.event(e)
	}
	for _, s := range journal {
		t.step(s)
	}
	return append(t.loose, t.roots...)
}

// tracer makes a trace of events, and then of what was kept.
type tracer struct {
	roots   []*Trace
	at      map[string]*Trace // by key
	open    []*Trace          // begun and not ended, in the order of their begin
	pending []*Trace          // searches, tools and requests whose step ends with the next step.completed
	called  map[toolName]json.RawMessage
	loose   []*Trace // of the journal only, in the order of their ends
}

// toolName tells one use of a tool from others.
type toolName struct {
	Tool   string `json:"tool"`
	CallID string `json:"call_id"`
	Query  string `json:"query"`
	URL    string `json:"url"`
}

func (t *tracer) event(e runs.Event) {
	switch e.Type {
	case runs.EventStepStarted:
		if key := stepOf(e); key != "" {
			t.begin(key, e.At)
		}
	case runs.EventStepCompleted:
		t.end(stepOf(e), e.At)
	case runs.EventHits:
		var h struct {
			Query string          `json:"query"`
			Hits  json.RawMessage `json:"hits"`
		}
		if json.Unmarshal(e.Data, &h) == nil && h.Hits != nil {
			t.pending = append(t.pending, &Trace{Name: h.Query, Type: TraceSearch, Done: true, Ended: e.At, Did: h.Hits})
		} else {
			t.pending = append(t.pending, &Trace{Type: TraceSearch, Done: true, Ended: e.At}) // purged
		}
	case runs.EventUsage:
		var u Used
		if json.Unmarshal(e.Data, &u) == nil && u.Model != "" {
			t.pending = append(t.pending, &Trace{Name: u.Purpose, Type: TraceModel, Used: &u})
		}
	case runs.EventRestarted:
		t.open = nil
	case runs.EventToolCalled:
		var n toolName
		if json.Unmarshal(e.Data, &n) == nil {
			t.called[n] = e.Data
		}
	case runs.EventToolCompleted:
		t.pending = append(t.pending, t.tool(e.Data))
	case runs.EventWaiting:
		t.asked(e)
	}
}

func stepOf(e runs.Event) string {
	var s runs.StepEvent
	if json.Unmarshal(e.Data, &s) != nil {
		return ""
	}
	return s.Step
}

// tool reads the end of a tool's use: one of the installation, or one of the web's.
func (t *tracer) tool(data json.RawMessage) *Trace {
	var n toolName
	out := &Trace{Type: TraceTool, Done: true}
	if json.Unmarshal(data, &n) == nil && n.Tool != "" {
		out.Name, out.Saw, out.Did = n.Tool, t.called[n], data
	}
	return out
}

// asked notes a question to a person; its step has no begin in the log.
func (t *tracer) asked(e runs.Event) {
	var w struct {
		Question runs.Question `json:"question"`
	}
	if json.Unmarshal(e.Data, &w) != nil || w.Question.Key == "" {
		return
	}
	s := t.begin(w.Question.Key, e.At)
	s.Type, s.Name, s.Saw = TraceQuestion, string(w.Question.Kind), mustJSON(w.Question)
	t.open = slices.DeleteFunc(t.open, func(o *Trace) bool { return o == s })
}

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// begin puts a step into its place. One that is begun again after a crash keeps it.
func (t *tracer) begin(key string, at time.Time) *Trace {
	if s, ok := t.at[key]; ok {
		if !slices.Contains(t.open, s) {
			t.open = append(t.open, s)
		}
		return s
	}
	s := &Trace{Key: key, Name: key, Type: TraceStep, Began: at}
	if name := nodeOf(key); name != "" {
		s.Name, s.Type = name, TraceNode
		t.open = slices.DeleteFunc(t.open, func(o *Trace) bool { return !strings.HasPrefix(key, o.Key+"/") }) // it was left for this one
	}
	t.at[key] = s
	if strings.Contains("/"+key, "/"+runs.ShowPrefix) {
		return s // it has no place
	}
	if p := t.parent(key); p != nil {
		p.Within = append(p.Within, s)
	} else {
		t.roots = append(t.roots, s)
	}
	t.open = append(t.open, s)
	return s
}

// nodeOf is the node whose checkpoint a key names; empty for other steps.
func nodeOf(key string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	name, _, _ = strings.Cut(name, "#")
	if !nodeNames[name] || strings.Contains("/"+key, "/"+runs.ShowPrefix) {
		return ""
	}
	return name
}

// parent is the open step that a new one belongs to: the nearest one whose key its own begins with, else the node that is under way.
func (t *tracer) parent(key string) *Trace {
	for _, o := range slices.Backward(t.open) {
		if strings.HasPrefix(key, o.Key+"/") {
			return o
		}
	}
	for _, o := range slices.Backward(t.open) {
		if o.Type == TraceNode && nodeOf(key) == "" {
			return o
		}
	}
	return nil
}

// end closes a step; what was told just before belongs to it.
func (t *tracer) end(key string, at time.Time) {
	s := t.at[key]
	if s == nil {
		return
	}
	s.Done, s.Ended = true, at
	t.open = slices.DeleteFunc(t.open, func(o *Trace) bool { return o == s })
	for _, p := range t.pending {
		switch {
		case s.Type == TraceStep && p.Type == TraceModel:
			s.Type, s.Name, s.Used = TraceModel, p.Name, p.Used
		case s.Type == TraceStep && p.Type == TraceTool:
			s.Type, s.Name, s.Saw, s.Did = TraceTool, p.Name, p.Saw, p.Did
		case p.Type == TraceModel: // of a node that asked by itself
			s.Used = p.Used
		default:
			p.Began = at
			s.Within = append(s.Within, p)
		}
	}
	t.pending = nil
}

// step adds what is kept of a step.
func (t *tracer) step(kept runs.Step) {
	s, ok := t.at[kept.Key]
	if !ok {
		s = t.adopt(kept.Key)
	}
	s.Done, s.Attempt = kept.Done, kept.Attempt
	if kept.Done && s.Ended.IsZero() {
		s.Ended = kept.At
	}
	if len(kept.Result) == 0 {
		return
	}
	var call modelCall
	if s.Type != TraceNode && json.Unmarshal(kept.Result, &call) == nil && len(call.Saw) > 0 {
		if s.Type == TraceStep {
			s.Type = TraceModel
		}
		if call.Purpose != "" {
			s.Name = call.Purpose
		}
		s.Saw, s.Did = mustJSON(call.Saw), mustJSON(call.Said)
		return
	}
	if s.Type != TraceTool || s.Did == nil {
		s.Did = kept.Result
	}
}

// adopt puts a step into its place whose events are of the run that this one goes on from. Steps are kept in the order of their ends, so
// what is within a node comes before it.
func (t *tracer) adopt(key string) *Trace {
	s := &Trace{Key: key, Name: key, Type: TraceStep}
	if strings.Contains("/"+key, "/"+runs.ShowPrefix) {
		return s
	}
	if name := nodeOf(key); name != "" {
		s.Name, s.Type = name, TraceNode
	}
	t.loose = slices.DeleteFunc(t.loose, func(o *Trace) bool {
		inner := strings.HasPrefix(o.Key, key+"/") || s.Type == TraceNode && o.Type != TraceNode
		if inner {
			s.Within = append(s.Within, o)
		}
		return inner
	})
	t.loose = append(t.loose, s)
	return s
}
