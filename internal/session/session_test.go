package session_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
	"byline/internal/session"
	"byline/internal/store/storetest"
)

func TestMerge(t *testing.T) {
	for _, row := range []struct{ name, state, patch, want string }{ // the first ones are of RFC 7396
		{"replace", `{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{"add", `{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{"remove", `{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{"a list whole", `{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{"inside", `{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{"a list of objects", `{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{"null in a list stays", `{}`, `{"a":[null]}`, `{"a":[null]}`},
		{"no null is set", `{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{"an object for a value", `{"a":1}`, `{"a":{"b":2}}`, `{"a":{"b":2}}`},
		{"numbers as they are", `{"a":1.10}`, `{"b":123456789012345678901}`, `{"a":1.10,"b":123456789012345678901}`},
		{"a damaged state", `[`, `{"a":1}`, `{"a":1}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := session.Merge(json.RawMessage(row.state), json.RawMessage(row.patch))
			if err != nil || string(got) != row.want {
				t.Errorf("%s %v, want %s", got, err, row.want)
			}
		})
	}
	for name, patch := range map[string]string{"bad_patch": `[1]`, "state_too_large": `{"a":"` + strings.Repeat("x", 300<<10) + `"}`} {
		if _, err := session.Merge(json.RawMessage(`{}`), json.RawMessage(patch)); fault.Of(err).Code != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, patch := range []string{`null`, ``, `{`, `1`} {
		if _, err := session.Merge(json.RawMessage(`{}`), json.RawMessage(patch)); fault.Of(err).Code != "bad_patch" {
			t.Errorf("%q: %v", patch, err)
		}
	}
	if _, err := session.Merge(json.RawMessage(`{}`), json.RawMessage(strings.Repeat(`{"a":`, 100)+`1`+strings.Repeat(`}`, 100))); fault.Of(err).Code != "state_too_large" {
		t.Errorf("deep: %v", err)
	}
}

// Whatever is patched into whatever: the state stays an object without nulls of the patch, and the same patch again changes nothing.
func FuzzMerge(f *testing.F) {
	f.Add(`{"a":{"b":1}}`, `{"a":{"b":null,"c":[1]}}`)
	f.Add(`{}`, `{"a":null}`)
	f.Add(`[`, `{"":{"":{}}}`)
	f.Fuzz(func(t *testing.T, state, patch string) {
		once, err := session.Merge(json.RawMessage(state), json.RawMessage(patch))
		if err != nil {
			if f := fault.Of(err); f.Kind != fault.Invalid || len(f.Fields) != 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		var m map[string]any
		if json.Unmarshal(once, &m) != nil || m == nil {
			t.Fatalf("%s is no object", once)
		}
		if twice, err := session.Merge(once, json.RawMessage(patch)); err != nil || string(twice) != string(once) {
			t.Fatalf("once %s, twice %s %v", once, twice, err)
		}
	})
}

func TestNameOf(t *testing.T) {
	for content, want := range map[string]string{
		"  Hello \t world\nmore": "Hello world",
		"":                       "",
		"A question that goes on and on, and on, until nobody remembers how it began": "A question that goes on and on, and on, until nobody…",
		strings.Repeat("가", 70): strings.Repeat("가", 60) + "…",
	} {
		if got := session.NameOf(content); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

func TestProfiles(t *testing.T) {
	s := session.New(nil, session.Profile{Name: "press", Persona: "Press."}, session.Profile{Name: "writer", Persona: "Ours."})
	var names []string
	for _, p := range s.Profiles() {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"press", "writer", "editor", "researcher"}, names); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"press": "Press.", "": "Ours.", "gone": "Ours."} {
		if got := s.Persona(name); got != want {
			t.Errorf("persona of %q is %q", name, got)
		}
	}
	if _, err := s.Profile("gone"); fault.Of(err).Code != "unknown_profile" {
		t.Errorf("gone: %v", err)
	}
	for _, x := range session.Starters() { // each asks for something that there is
		found := false
		for _, c := range session.Commands() {
			found = found || c.Name == x.Action
		}
		if !found || x.Content == "" {
			t.Errorf("starter %+v", x)
		}
	}
}

// A session takes over what its profile says, and is the context of a model with the profile's persona first.
func TestBeginAndTalk(t *testing.T) {
	st := storetest.New(t)
	s := session.New(st.Sessions(), session.Profile{Name: "press", Persona: "Press.", Provider: "openai", Model: "m", Settings: session.Settings{Words: 50}})
	ctx := t.Context()
	of, err := s.Begin(ctx, session.Session{Workspace: ident.Local, Name: " N\x00ame ", Profile: "press", Tags: []string{"a", " a", ""}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := s.Settings(ctx, ident.Local, of.ID)
	if err != nil || of.Name != "Name" || of.Provider != "openai" || of.Model != "m" || len(of.Tags) != 1 || settings.Words != 50 {
		t.Errorf("%+v %+v %v", of, settings, err)
	}
	own, err := s.Begin(ctx, session.Session{Workspace: ident.Local, Profile: "press", Provider: "ollama"}, nil)
	if err != nil || own.Provider != "ollama" || own.Model != "" {
		t.Errorf("a provider of one's own: %+v %v", own, err)
	}
	turn, err := s.Send(ctx, ident.Local, of.ID, session.Said{Content: " Hello\x00 "}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, l, ok, err := st.Claim(ctx, "w", []runs.Kind{runs.KindChat})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := s.Reply(ctx, l, session.Message{Content: "Hi."}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(ctx, ident.Local, of.ID, session.Said{Content: "More"}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Context(ctx, ident.Local, of.ID, "")
	want := []llm.Message{{Role: llm.System, Content: "Press."}, {Role: llm.User, Content: "Hello"}, {Role: llm.Assistant, Content: "Hi."}, {Role: llm.User, Content: "More"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := s.Context(ctx, "elsewhere", of.ID, ""); fault.Of(err).Kind != fault.NotFound {
		t.Errorf("elsewhere: %v", err)
	}
	if _, err := s.Context(ctx, ident.Local, of.ID, ident.New()); fault.Of(err).Kind != fault.NotFound {
		t.Errorf("no such branch: %v", err)
	}
	if _, err := s.Correct(ctx, ident.Local, of.ID, turn.Message.ID, "\x00 "); fault.Of(err).Code != "required" {
		t.Errorf("an empty message: %v", err)
	}
	m, err := s.Correct(ctx, ident.Local, of.ID, turn.Message.ID, " Hello! ")
	if err != nil || m.Content != "Hello!" {
		t.Errorf("corrected: %+v %v", m, err)
	}
	name, profile := " New ", "gone"
	if _, err := s.Change(ctx, ident.Local, of.ID, session.Patch{Profile: &profile}); fault.Of(err).Code != "unknown_profile" {
		t.Errorf("unknown profile: %v", err)
	}
	if of, err = s.Change(ctx, ident.Local, of.ID, session.Patch{Name: &name, Tags: &[]string{"b", "b"}}); err != nil || of.Name != "New" || len(of.Tags) != 1 {
		t.Errorf("changed: %+v %v", of, err)
	}
	if _, err := s.Begin(ctx, session.Session{Workspace: ident.Local, Profile: "gone"}, nil); fault.Of(err).Code != "unknown_profile" {
		t.Errorf("unknown profile: %v", err)
	}
}

// A command can be written with a slash. What was pressed goes before that, and a slash that names no command is text.
func TestCommandsWithASlash(t *testing.T) {
	st := storetest.New(t)
	s := session.New(st.Sessions())
	of, err := s.Begin(t.Context(), session.Session{Workspace: ident.Local}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ say, pressed, content, action string }{
		{"/ask How old is it?", "", "How old is it?", "ask"},
		{" /draft ", "", "New draft", "draft"},
		{"/ask How?", "chat", "/ask How?", "chat"},
		{"/dance now", "", "/dance now", ""},
		{"and /ask me", "", "and /ask me", ""},
	} {
		said := session.Said{Content: tc.say}
		if tc.pressed != "" {
			said.Action = &session.Press{Name: tc.pressed}
		}
		turn, err := s.Send(t.Context(), ident.Local, of.ID, said, nil)
		if err != nil {
			t.Fatal(err)
		}
		var w session.Wish
		if err := json.Unmarshal(turn.Run.Input, &w); err != nil {
			t.Fatal(err)
		}
		action := ""
		if w.Action != nil {
			action = w.Action.Name
		}
		if turn.Message.Content != tc.content || action != tc.action {
			t.Errorf("%q: %q, action %q", tc.say, turn.Message.Content, action)
		}
	}
}

// The data of an element has the form that its type promises.
func TestElementsAreWhatTheySay(t *testing.T) {
	st := storetest.New(t)
	s := session.New(st.Sessions())
	of, err := s.Begin(t.Context(), session.Session{Workspace: ident.Local}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		kind session.ElementType
		data string
		ok   bool
	}{
		{session.ElementText, `"Some *Markdown*."`, true}, {session.ElementText, `{"a":1}`, false},
		{session.ElementTable, `{"columns":["a","b"],"rows":[[1,"x"],[null,true]]}`, true}, {session.ElementTable, `{"columns":["a"],"rows":[[1,2]]}`, false},
		{session.ElementTable, `{"columns":[]}`, false}, {session.ElementTable, `[]`, false},
		{session.ElementTasks, `{"tasks":[{"title":"Read","status":"running"}]}`, true}, {session.ElementTasks, `{"run_id":"R"}`, true},
		{session.ElementTasks, `{"tasks":[{"title":"Read","status":"soon"}]}`, false}, {session.ElementTasks, `{"tasks":[]}`, false},
		{session.ElementImage, `{"url":"https://example.org/a.png"}`, true}, {session.ElementPDF, `{}`, true}, {session.ElementAudio, `{}`, true}, {session.ElementFile, `{"bytes":"aGk="}`, true},
	} {
		for _, display := range []session.Display{session.Inline, session.Side} {
			e, err := s.Show(t.Context(), ident.Local, session.Element{SessionID: of.ID, Type: tc.kind, Display: display, Data: json.RawMessage(tc.data)}, nil)
			if tc.ok && (err != nil || string(e.Data) != tc.data || e.Display != display) || !tc.ok && fault.Of(err).Code != "bad_data" {
				t.Errorf("%s %s: %+v %v", tc.kind, tc.data, e, err)
			}
		}
	}
}
