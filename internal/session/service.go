package session

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
)

// Service begins and changes sessions. It is safe for concurrent use.
type Service struct {
	Store
	profiles []Profile
}

// New makes a service with profiles beside the built-in ones; one with the same name takes the place of a built-in one.
func New(store Store, profiles ...Profile) *Service {
	s := &Service{Store: store}
	for _, p := range append(profiles, builtin...) {
		if _, there := s.profile(p.Name); !there {
			s.profiles = append(s.profiles, p)
		}
	}
	return s
}

// Profile is how answers are given: by which model, and in whose voice.
type Profile struct {
	Name        string // for programs
	Title       string
	Description string
	Provider    string // of models; empty: the configured one
	Model       string
	Persona     string // stands before the messages as the system's
	Settings    Settings
}

// DefaultProfile is that of a session that names none.
const DefaultProfile = "writer"

var builtin = []Profile{
	{Name: DefaultProfile, Title: "Writer", Description: "Answers from your documents with citations, and writes and changes posts.",
		Persona: "You help to write posts whose every sentence can be checked. You answer from the sources that you are given, plainly and exactly, and say so when they do not tell."},
	{Name: "editor", Title: "Editor", Description: "Reads what is there with a critical eye and proposes exact changes.",
		Persona: "You are a careful editor. You name what is unclear, too long or not supported by its source, and propose the smallest change that mends it."},
	{Name: "researcher", Title: "Researcher", Description: "Looks for what the documents say, and where they disagree.",
		Persona: "You are a researcher. You gather what the sources say to a question, set their differences beside each other, and say what is missing."},
}

// Profiles lists them: configured ones, then built-in ones.
func (s *Service) Profiles() []Profile { return slices.Clone(s.profiles) }

// Profile gives a profile by its name, the default one for none.
func (s *Service) Profile(name string) (Profile, error) {
	if name == "" {
		name = DefaultProfile
	}
	p, ok := s.profile(name)
	if !ok {
		return p, fault.Bad("body.profile", "unknown_profile", "There is no profile %q. GET /api/v1/profiles lists them.", name)
	}
	return p, nil
}

func (s *Service) profile(name string) (Profile, bool) {
	i := slices.IndexFunc(s.profiles, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	return s.profiles[i], true
}

// Persona is what stands before the messages of a session with a profile; of one that is not configured any more, the default's.
func (s *Service) Persona(profile string) string {
	p, err := s.Profile(profile)
	if err != nil {
		p, _ = s.profile(DefaultProfile)
	}
	return p.Persona
}

// Begin creates a session. What its profile sets is taken over where nothing else is said.
func (s *Service) Begin(ctx context.Context, n Session, once *ident.Once) (Session, error) {
	p, err := s.Profile(n.Profile)
	if err != nil {
		return Session{}, err
	}
	n.Name, n.Tags = strings.TrimSpace(Plain(n.Name)), unique(n.Tags)
	n.Provider, n.Model = Plain(n.Provider), Plain(n.Model)
	if n.Provider == "" && n.Model == "" {
		n.Provider, n.Model = p.Provider, p.Model
	}
	return s.Add(ctx, n, p.Settings, once)
}

// Change changes a session.
func (s *Service) Change(ctx context.Context, ws ident.Workspace, id string, p Patch) (Session, error) {
	if p.Profile != nil {
		if _, err := s.Profile(*p.Profile); err != nil {
			return Session{}, err
		}
	}
	for _, field := range []**string{&p.Name, &p.Provider, &p.Model} {
		if *field != nil {
			plain := strings.TrimSpace(Plain(**field))
			*field = &plain
		}
	}
	if p.Tags != nil {
		tags := unique(*p.Tags)
		p.Tags = &tags
	}
	return s.Update(ctx, ws, id, p)
}

// Send says something and starts the run that answers it.
func (s *Service) Send(ctx context.Context, ws ident.Workspace, sessionID string, said Said, once *ident.Once) (Turn, error) {
	if said.Content = strings.TrimSpace(Plain(said.Content)); said.Content == "" {
		return Turn{}, fault.Bad("body.content", "required", "Say something.")
	}
	said.slash()
	said.DocumentIDs, said.DraftID, said.ParentID = unique(said.DocumentIDs), Plain(said.DraftID), Plain(said.ParentID)
	switch sel := said.Selection; {
	case sel != nil && said.DraftID == "":
		return Turn{}, fault.Bad("body.selection", "no_draft", "A selection is a part of a draft; name it as draft_id.")
	case sel != nil && sel.End < sel.Start:
		return Turn{}, fault.Bad("body.selection.end", "before_start", "A selection ends where it starts, or behind that.")
	case said.Action != nil && !slices.ContainsFunc(commands, func(c Command) bool { return c.Name == said.Action.Name }):
		return Turn{}, fault.Bad("body.action", "unknown_action", "There is no action %q. GET /api/v1/commands lists them.", said.Action.Name)
	}
	return s.Say(ctx, ws, sessionID, said, once)
}

// Correct changes the text of a message in its place.
func (s *Service) Correct(ctx context.Context, ws ident.Workspace, sessionID, messageID, content string) (Message, error) {
	if content = strings.TrimSpace(Plain(content)); content == "" {
		return Message{}, fault.Bad("body.content", "required", "A message says something. Delete it if it is not wanted.")
	}
	return s.Edit(ctx, ws, sessionID, messageID, content)
}

// Show adds an element to a session.
func (s *Service) Show(ctx context.Context, ws ident.Workspace, e Element, once *ident.Once) (Element, error) {
	e.Name, e.DocumentID, e.MessageID = Plain(e.Name), Plain(e.DocumentID), Plain(e.MessageID)
	switch {
	case e.DocumentID == "" && len(e.Data) == 0:
		return Element{}, fault.Bad("body", "nothing_to_show", "An element shows a document (document_id) or what is in data.")
	case e.Page > 0 && e.DocumentID == "":
		return Element{}, fault.Bad("body.page", "no_document", "A page is one of a document; name it as document_id.")
	case len(e.Data) > maxElement:
		return Element{}, fault.Bad("body.data", "too_large", "The data of an element may have %d KB. Upload what is larger as a document.", maxElement>>10)
	}
	if err := e.check(); err != nil {
		return Element{}, err
	}
	return s.AddElement(ctx, ws, e, once)
}

// check holds the data of an element against its type, so that whoever shows it can rely on its form.
func (e Element) check() error {
	if len(e.Data) == 0 {
		if e.DocumentID == "" {
			return nil
		}
		switch e.Type {
		case ElementTable, ElementTasks:
			return fault.Bad("body.data", "required", "A %s shows what is in data.", e.Type)
		}
		return nil
	}
	wrong := func(say string) error { return fault.Bad("body.data", "bad_data", "%s", say) }
	switch e.Type {
	case ElementText:
		var text string
		if json.Unmarshal(e.Data, &text) != nil {
			return wrong("The data of a text is a string, in Markdown.")
		}
	case ElementTable:
		var t struct {
			Columns []string            `json:"columns"`
			Rows    [][]json.RawMessage `json:"rows"`
		}
		if json.Unmarshal(e.Data, &t) != nil || len(t.Columns) == 0 || slices.ContainsFunc(t.Rows, func(row []json.RawMessage) bool { return len(row) != len(t.Columns) }) {
			return wrong(`The data of a table is {"columns": ["..."], "rows": [[...]]}; each row has as many cells as there are columns.`)
		}
	case ElementTasks:
		var t struct {
			RunID string `json:"run_id"`
			Tasks []struct{ Title, Status string }
		}
		if json.Unmarshal(e.Data, &t) != nil || t.RunID == "" && len(t.Tasks) == 0 {
			return wrong(`The data of tasks is {"tasks": [{"title": "...", "status": "ready"}]}, or {"run_id": "..."} of a run that writes a post.`)
		}
		for _, task := range t.Tasks {
			if task.Title == "" || !slices.Contains([]string{"ready", "running", "done", "failed"}, task.Status) {
				return wrong("A task has a title, and the status ready, running, done or failed.")
			}
		}
	}
	return nil
}

// maxElement is how large the data of an element may be, in bytes of JSON.
const maxElement = 1 << 20

// Plain drops what no text has and PostgreSQL refuses: the character of code 0.
func Plain(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// Context gives the branch that leads to a message, or the newest one, as messages for a model: the persona of the session's profile
// first. Answers that are empty are left out.
func (s *Service) Context(ctx context.Context, ws ident.Workspace, sessionID, through string) ([]llm.Message, error) {
	of, err := s.Session(ctx, ws, sessionID)
	if err != nil {
		return nil, err
	}
	const most = 100_000
	list, _, _, err := s.Branch(ctx, ws, sessionID, through, "", most)
	if err != nil {
		return nil, err
	}
	out := []llm.Message{{Role: llm.System, Content: s.Persona(of.Profile)}}
	for _, m := range list {
		if m.Content != "" {
			out = append(out, llm.Message{Role: llm.Role(m.Role), Content: m.Content})
		}
	}
	return out, nil
}

// maxName is how long the name may be that a session gets by itself, in characters.
const maxName = 60

// NameOf makes a name from what is said first.
func NameOf(content string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(content), "\n")
	line = strings.Join(strings.Fields(line), " ")
	if utf8.RuneCountInString(line) <= maxName {
		return line
	}
	cut := string([]rune(line)[:maxName])
	if at := strings.LastIndexByte(cut, ' '); at > maxName/2 {
		cut = cut[:at]
	}
	return cut + "…"
}

// unique drops repetitions and blanks and keeps the order.
func unique(all []string) []string {
	var out []string
	for _, s := range all {
		if s = strings.TrimSpace(Plain(s)); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Command is what a person can say with a slash, or press: it tells the writer what to do, so that it need not guess.
type Command struct {
	Name        string
	Title       string
	Description string
	NeedsDraft  bool
}

// slash reads a command at the begin of a message ("/ask How old is it?"). What was pressed goes before what is written.
func (s *Said) slash() {
	name, rest, _ := strings.Cut(s.Content, " ")
	name, ok := strings.CutPrefix(name, "/")
	i := slices.IndexFunc(commands, func(c Command) bool { return c.Name == name })
	if !ok || i < 0 || s.Action != nil {
		return
	}
	s.Action = &Press{Name: name}
	if s.Content = strings.TrimSpace(rest); s.Content == "" {
		s.Content = commands[i].Title
	}
}

var commands = []Command{
	{"chat", "Chat", "Just talk; nothing is looked up or changed.", false},
	{"ask", "Ask the library", "Answer from the documents, with citations.", false},
	{"draft", "New draft", "Write a post from the session's documents.", false},
	{"edit", "Change the draft", "Propose exact changes to the draft, or to what is selected in it.", true},
	{"undo", "Undo", "Take the last change of the draft back.", true},
	{"redo", "Redo", "Do again what was taken back.", true},
	{"web", "Search the web", "Look for it on the web, where that is configured.", false},
}

// Commands lists them.
func Commands() []Command { return slices.Clone(commands) }

// Starter is something to begin with.
type Starter struct {
	Name, Title, Content string
	Action               string // a command's name
}

var starters = []Starter{
	{"summary", "What do these documents say?", "What are the main points of these documents?", "ask"},
	{"post", "Write a post", "Write a post of about 800 words from these documents.", "draft"},
	{"differences", "Where do they disagree?", "Where do these documents disagree with each other?", "ask"},
	{"numbers", "The figures", "Which figures do these documents give, and for what?", "ask"},
}

// Starters lists them.
func Starters() []Starter { return slices.Clone(starters) }
