package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"byline/internal/fault"
)

// drafting is one `byline draft`.
type drafting struct {
	*command
	cl     *client
	ui     *progress
	out    string
	format string
	cite   string
	preset string
	resume string
	asked  bool // the run waits, or has just waited, for an answer
	wish   wish
}

// wish is what is asked of POST /blog/generate.
type wish struct {
	DocumentIDs  []string `json:"document_ids"`
	Title        string   `json:"title,omitempty"`
	Instructions string   `json:"instructions,omitempty"`
	Provider     string   `json:"llm_provider,omitempty"`
	Model        string   `json:"llm_model,omitempty"`
	Brief        brief    `json:"brief"`
}

type brief struct {
	Topics         []string `json:"topics,omitempty"`
	Words          int      `json:"words,omitempty"`
	Language       string   `json:"language,omitempty"`
	Audience       string   `json:"audience,omitempty"`
	Tone           string   `json:"tone,omitempty"`
	Template       string   `json:"template,omitempty"`
	ApproveOutline bool     `json:"approve_outline,omitempty"`
	Web            bool     `json:"web,omitempty"`
}

// unused is a source that could not be used, and why.
type unused struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// result of a draft, as --json prints it.
type result struct {
	Path      string   `json:"path"`
	DraftID   string   `json:"draft_id"`
	Title     string   `json:"title"`
	Words     int      `json:"words"`
	Sentences int      `json:"sentences"`
	Cited     int      `json:"cited"`
	Unused    []unused `json:"unused"`
}

func (c *command) draftCmd() *cobra.Command {
	d := &drafting{command: c}
	cmd := &cobra.Command{
		Use:   "draft [flags] SOURCE...",
		Short: "Write a cited post from files, folders, globs or web pages",
		Long: `Takes the sources in, writes a post from them and saves it as a file. Sources are files, folders (all that can be
read in them), globs and addresses of web pages. What cannot be used is listed with its reason, and the rest goes on.`,
		Example: "  byline draft report.pdf notes.md -o post.md\n  byline draft sources/ --title 'A year of repairs' --topic heating --topic costs --words 600",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && d.resume == "" {
				return usage("name at least one source: a file, a folder, a glob or the address of a page")
			}
			if len(args) > 0 && d.resume != "" {
				return usage("--resume takes up a run with the sources that it has: name none, or leave --resume out")
			}
			return d.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	d.format, d.cite, d.preset = "markdown", "footnotes", "plain"
	f.StringVarP(&d.out, "output", "o", "", "the post's file or folder; - is standard output (default: the title, in this folder)")
	f.StringVar(&d.wish.Title, "title", "", "the post's title")
	f.StringArrayVar(&d.wish.Brief.Topics, "topic", nil, "what the post should cover (repeat)")
	f.IntVar(&d.wish.Brief.Words, "words", 0, "about how long it should be")
	f.StringVar(&d.wish.Brief.Language, "language", "", "ISO 639-1 code of the language (default: the sources')")
	f.StringVar(&d.wish.Instructions, "instructions", "", "what else you wish, in your own words (a model follows them)")
	f.StringVar(&d.wish.Brief.Audience, "audience", "", "who will read it (needs a model)")
	f.StringVar(&d.wish.Brief.Tone, "tone", "", "how it should sound (needs a model)")
	f.Var(choice{&d.wish.Brief.Template, []string{"report", "how-to", "news", "comparison", "faq", "minutes"}}, "template", "report, how-to, news, comparison, faq or minutes (needs a model)")
	f.StringVar(&d.wish.Provider, "provider", "", "which provider of models writes: openai, ollama, or offline for none (default: as configured)")
	f.StringVar(&d.wish.Model, "model", "", "which of its models (default: as configured)")
	f.BoolVar(&d.wish.Brief.ApproveOutline, "approve-outline", false, "ask before anything is written whether the outline is right")
	f.BoolVar(&d.wish.Brief.Web, "web", false, "search the web, too (needs a model and a search engine)")
	f.Var(choice{&d.format, []string{"markdown", "json"}}, "format", "markdown or json")
	f.Var(choice{&d.cite, []string{"footnotes", "links", "none"}}, "cite", "how to show citations: footnotes, links or none")
	f.Var(choice{&d.preset, []string{"plain", "jekyll", "hugo", "astro", "eleventy"}}, "preset", "front matter for plain, jekyll, hugo, astro or eleventy")
	f.StringVar(&d.resume, "resume", "", "take up a run that was interrupted, by its id")
	return cmd
}

func (d *drafting) run(ctx context.Context, args []string) error {
	paths, skipped, err := expand(args)
	if err != nil {
		return err
	}
	cl, close, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer close()
	d.cl, d.ui = cl, newProgress(d.Stderr, d.quiet || d.json)
	defer d.ui.end()
	runID := d.resume
	if runID == "" {
		refused, err := d.takeIn(ctx, paths)
		skipped = append(skipped, refused...)
		if err == nil && len(d.wish.DocumentIDs) == 0 {
			d.tellUnused(skipped)
			return fault.New(fault.Invalid, "no_sources", "None of the sources could be used, so there is nothing to write from.")
		}
		if err == nil {
			runID, err = d.generate(ctx)
		}
		if err != nil {
			return d.interrupted(ctx, err, "What was taken in is kept: run the same command again.")
		}
	}
	res, err := d.write(ctx, runID)
	if err != nil {
		when := "when Byline is started again"
		if cl.remote() {
			when = "in the server"
		}
		how := fmt.Sprintf("The writing goes on %s. Take it up with: %s", when, d.resumeCommand(runID))
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Unavailable {
			return fault.New(f.Kind, f.Code, "%s %s", f.Say, how).Because(err)
		}
		return d.interrupted(ctx, err, how)
	}
	res.Unused = append([]unused{}, skipped...)
	return d.finish(res)
}

// interrupted says how to go on after Ctrl-C.
func (d *drafting) interrupted(ctx context.Context, err error, how string) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	d.ui.end()
	fmt.Fprintf(d.Stderr, "Stopped. %s\n", how)
	return exitError(ExitInterrupted)
}

// resumeCommand is what to type to go on with a run, in this folder.
func (d *drafting) resumeCommand(runID string) string {
	words := []string{"byline", "draft", "--resume", runID}
	add := func(flag, given, usual string) {
		if given != usual {
			words = append(words, flag, quoted(given))
		}
	}
	add("--output", d.out, "")
	add("--format", d.format, "markdown")
	add("--cite", d.cite, "footnotes")
	add("--preset", d.preset, "plain")
	add("--data", d.flags["data"], "")
	add("--config", d.configFile, "")
	return strings.Join(words, " ")
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// takeIn uploads the files and waits until each is processed. Those that cannot be used come back with the reason.
func (d *drafting) takeIn(ctx context.Context, paths []string) (refused []unused, err error) {
	type source struct{ path, id string }
	var waiting []source
	for i, p := range paths {
		d.ui.say("taking in", filepath.Base(p), "", i, len(paths))
		doc, fresh, err := d.cl.upload(ctx, p)
		if err == nil && !fresh && doc.Status != "completed" { // perhaps it goes better now
			err = d.cl.call(ctx, "POST", "/api/v1/documents/"+doc.ID+"/process", nil, nil)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			refused = append(refused, unused{p, reason(err)})
			continue
		}
		waiting = append(waiting, source{p, doc.ID})
	}
	for i, s := range waiting {
		doc, err := d.processed(ctx, s.id, i, len(waiting))
		if err != nil {
			return nil, err
		}
		switch {
		case !doc.readable():
			refused = append(refused, unused{s.path, doc.ErrorMessage})
		case !slices.Contains(d.wish.DocumentIDs, s.id):
			d.wish.DocumentIDs = append(d.wish.DocumentIDs, s.id)
		}
	}
	return refused, nil
}

// lookEvery is how often a document that is being processed is looked at.
const lookEvery = 50 * time.Millisecond

// patience is how long nothing may move before the library is asked whether it is well.
const patience = 5 * time.Second

// readable tells whether the document has its text and is found by words, which is what writing needs. Its vectors may
// still be on their way.
func (d *document) readable() bool {
	return d.Status == "completed" || d.Stage == "indexed" || d.Stage == "embedded"
}

// processed waits until a document can be written from, or has failed.
func (d *drafting) processed(ctx context.Context, id string, n, of int) (document, error) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	var before string
	moved := time.Now()
	for {
		var doc document
		if err := d.cl.call(ctx, "GET", "/api/v1/documents/"+id, nil, &doc); err != nil {
			return doc, err
		}
		if now := fmt.Sprint(doc.Status, doc.Stage, doc.Progress); now != before {
			before, moved = now, time.Now()
		} else if time.Since(moved) > patience {
			if err := d.cl.wellness(ctx); err != nil {
				return doc, err
			}
			moved = time.Now()
		}
		if doc.readable() || doc.Status == "failed" {
			return doc, nil
		}
		detail := ""
		if p := doc.Progress; p != nil && p.Of > 0 {
			detail = " (" + strconv.Itoa(p.Done) + " of " + strconv.Itoa(p.Of) + ")"
		}
		d.ui.say("reading", doc.Filename, detail, n, of)
		select {
		case <-ctx.Done():
			return doc, ctx.Err()
		case <-t.C:
		}
	}
}

// generate starts the writing.
func (d *drafting) generate(ctx context.Context) (runID string, err error) {
	var started struct {
		Run struct {
			ID string `json:"id"`
		} `json:"run"`
	}
	err = d.cl.call(ctx, "POST", "/api/v1/blog/generate", d.wish, &started)
	return started.Run.ID, err
}

// write follows the run in front of the user's eyes and saves the post.
func (d *drafting) write(ctx context.Context, runID string) (result, error) {
	var res result
	var failure error
	err := d.cl.follow(ctx, runID, func(e event) error {
		var err error
		switch e.Type {
		case "run.completed":
			err = json.Unmarshal(e.Data, &res)
		case "run.failed":
			var why struct{ Code, Detail string }
			err = json.Unmarshal(e.Data, &why)
			failure = fault.New(fault.Invalid, why.Code, "%s (run %s)", why.Detail, runID)
		case "run.cancelled":
			failure = fault.New(fault.Invalid, "run_cancelled", "The writing was cancelled; the draft keeps what was written.")
		case "run.waiting":
			err = d.answer(ctx, runID, e)
		default:
			err = d.show(e)
		}
		return err
	})
	if err != nil || failure != nil {
		return res, firstError(failure, err)
	}
	if res.DraftID == "" {
		return res, fault.New(fault.Invalid, "no_draft", "The run %s wrote no draft.", runID)
	}
	var dr struct{ Title string }
	if err := d.cl.call(ctx, "GET", "/api/v1/blog/"+res.DraftID, nil, &dr); err != nil {
		return res, err
	}
	res.Title = dr.Title
	res.Path, err = d.export(ctx, res.DraftID)
	return res, err
}

// answer asks the user what the run asks, or says how to answer where nobody can be asked.
func (d *drafting) answer(ctx context.Context, runID string, e event) error {
	var data struct {
		Question question `json:"question"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return fmt.Errorf("read event %s: %w", e.Type, err)
	}
	q := data.Question
	var now run
	if err := d.cl.call(ctx, "GET", "/api/v1/runs/"+runID, nil, &now); err != nil {
		return err
	}
	if d.asked = true; now.Question == nil || now.Question.ID != q.ID {
		return nil // it was answered meanwhile
	}
	d.ui.end()
	var b strings.Builder
	for i, s := range q.Data.Sections {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, s.Title)
	}
	for _, c := range q.Choices {
		fmt.Fprintf(&b, "  %s: %s\n", c.Value, c.Label)
	}
	fmt.Fprintf(d.Stderr, "%s%s\n", clean(b.String()), clean(q.Text))
	if in, ok := d.Stdin.(*os.File); !ok || !term.IsTerminal(int(in.Fd())) {
		return fault.New(fault.Unavailable, "waiting", "The writing waits for your answer: byline runs answer %s VALUE", runID)
	}
	fmt.Fprint(d.Stderr, "> ")
	typed, err := bufio.NewReader(d.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return sendAnswer(ctx, d.cl, runID, q, typed)
}

// show lets the user see an event.
func (d *drafting) show(e event) error {
	var data struct{ Text, Step, Detail string }
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return fmt.Errorf("read event %s: %w", e.Type, err)
	}
	switch e.Type {
	case "token", "snapshot":
		d.ui.stream(data.Text)
	case "step.started":
		d.ui.say(doing(data.Step), "", "", 0, 0)
	case "notice":
		d.ui.note(data.Detail)
	case "reset": // what follows replaces what was shown
		d.ui.end()
	case "run.restarted":
		if !d.asked { // else it waited for an answer, and has it
			d.ui.note("The writing was interrupted and goes on.")
		}
		d.asked = false
	}
	return nil
}

// doing says in words what a step of the writer does. A later round has a mark in front of its steps, and a section its
// name behind.
func doing(step string) string {
	for part := range strings.SplitSeq(step, "/") {
		part, _, _ = strings.Cut(part, "#") // the visit of a node
		switch part {
		case "sources", "model", "survey":
			return "looking through the sources"
		case "plan":
			return "planning"
		case "gather":
			return "gathering evidence"
		case "web":
			return "searching the web"
		case "write", "show":
			return "writing"
		case "verify":
			return "checking every citation"
		case "approve":
			return "waiting for the outline to be approved"
		case "repair", "correct", "rewrite":
			return "correcting what is not found in the sources"
		case "finish":
			return "finishing the post"
		}
	}
	return "at work: " + step
}

func (d *drafting) finish(res result) error {
	d.ui.end()
	if len(res.Unused) > 0 {
		d.exit = ExitPartly
	}
	out := d.Stdout
	if res.Path == "-" { // the post is there
		out = d.Stderr
	}
	if d.json {
		return d.printJSON(out, res)
	}
	d.tellUnused(res.Unused)
	_, err := fmt.Fprintf(out, "%s: %q, %d words, %d of %d sentences cited\n", inline(res.Path), res.Title, res.Words, res.Cited, res.Sentences)
	return err
}

func (d *drafting) tellUnused(all []unused) {
	d.ui.end()
	if len(all) > 0 {
		fmt.Fprintf(d.Stderr, "Not used:\n")
	}
	for _, u := range all {
		fmt.Fprintf(d.Stderr, "  %s: %s\n", inline(u.Path), clean(u.Reason))
	}
}

// reason is an error in one sentence.
func reason(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Say
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return "It cannot be read: " + pe.Err.Error() + "."
	}
	return err.Error()
}
