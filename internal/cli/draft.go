package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	wish   wish
}

type wish struct {
	DocumentIDs []string `json:"document_ids"`
	Title       string   `json:"title,omitempty"`
	Brief       struct {
		Topics   []string `json:"topics,omitempty"`
		Words    int      `json:"words,omitempty"`
		Language string   `json:"language,omitempty"`
	} `json:"brief"`
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
		Short: "Write a cited post from files, folders or globs",
		Long: `Takes the sources in, writes a post from them and saves it as a file. Sources are files, folders (all that can be
read in them) and globs. What cannot be used is listed with its reason, and the rest goes on.`,
		Example: "  byline draft report.pdf notes.md -o post.md\n  byline draft sources/ --title 'A year of repairs' --topic heating --topic costs --words 600",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && d.resume == "" {
				return fmt.Errorf("name at least one source: a file, a folder or a glob%.0w", errUsage)
			}
			return d.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&d.out, "output", "o", "", "the post's file; - is standard output (default: the title, in this folder)")
	f.StringVar(&d.wish.Title, "title", "", "the post's title")
	f.StringArrayVar(&d.wish.Brief.Topics, "topic", nil, "what the post should cover (repeat)")
	f.IntVar(&d.wish.Brief.Words, "words", 0, "about how long it should be")
	f.StringVar(&d.wish.Brief.Language, "language", "", "ISO 639-1 code of the language (default: the sources')")
	f.StringVar(&d.format, "format", "markdown", "markdown or json")
	f.StringVar(&d.cite, "cite", "footnotes", "how to show citations: footnotes, links or none")
	f.StringVar(&d.preset, "preset", "plain", "front matter for plain, jekyll, hugo, astro or eleventy")
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
		var refused []unused
		if refused, err = d.sources(ctx, paths); err != nil {
			return d.interrupted(ctx, err, "Run the same command again: what was taken in is kept.")
		}
		skipped = append(skipped, refused...)
		if len(d.wish.DocumentIDs) == 0 {
			d.tellUnused(skipped)
			return fault.New(fault.Invalid, "no_sources", "None of the sources could be used, so there is nothing to write from.")
		}
		var started struct {
			Draft draft `json:"draft"`
			Run   run   `json:"run"`
		}
		if err := cl.call(ctx, "POST", "/api/v1/blog/generate", d.wish, &started); err != nil {
			return err
		}
		runID = started.Run.ID
	}
	res, err := d.write(ctx, runID)
	if err != nil {
		return d.interrupted(ctx, err, fmt.Sprintf("The run goes on when Byline is started again. Take it up with: byline draft --resume %s", runID))
	}
	res.Unused = append([]unused{}, skipped...)
	return d.finish(res)
}

// interrupted says how to go on after Ctrl-C.
func (d *drafting) interrupted(ctx context.Context, err error, how string) error {
	if ctx.Err() == nil {
		return err
	}
	d.ui.end()
	fmt.Fprintf(d.Stderr, "\nStopped. %s\n", how)
	return exitError(ExitInterrupted)
}

// sources takes the files in and waits until each is processed. Those that cannot be used come back with the reason.
func (d *drafting) sources(ctx context.Context, paths []string) (refused []unused, err error) {
	type source struct {
		path string
		id   string
	}
	var waiting []source
	for i, p := range paths {
		d.ui.say("taking in", filepath.Base(p), i, len(paths))
		doc, _, err := d.cl.upload(ctx, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil && doc.Status == "failed" { // it was here before: perhaps it goes better now
			err = d.cl.call(ctx, "POST", "/api/v1/documents/"+doc.ID+"/process", nil, nil)
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
		case doc.Status != "completed":
			refused = append(refused, unused{s.path, doc.ErrorMessage})
		case !slices.Contains(d.wish.DocumentIDs, s.id):
			d.wish.DocumentIDs = append(d.wish.DocumentIDs, s.id)
		}
	}
	return refused, nil
}

// processed waits until a document has been processed.
func (d *drafting) processed(ctx context.Context, id string, n, of int) (document, error) {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		var doc document
		if err := d.cl.call(ctx, "GET", "/api/v1/documents/"+id, nil, &doc); err != nil {
			return doc, err
		}
		if doc.Status == "completed" || doc.Status == "failed" {
			return doc, nil
		}
		what := doc.Filename
		if p := doc.Progress; p != nil && p.Of > 0 {
			what = fmt.Sprintf("%s (%s, %d of %d)", doc.Filename, doc.Stage, p.Done, p.Of)
		}
		d.ui.say("reading", what, n, of)
		select {
		case <-ctx.Done():
			return doc, ctx.Err()
		case <-t.C:
		}
	}
}

// write follows the run in front of the user's eyes and saves the post.
func (d *drafting) write(ctx context.Context, runID string) (result, error) {
	res := result{Unused: []unused{}}
	var failure error
	err := d.cl.follow(ctx, runID, func(e event) error {
		switch e.Type {
		case "token":
			var t struct{ Text string }
			if err := json.Unmarshal(e.Data, &t); err != nil {
				return err
			}
			d.ui.stream(t.Text)
		case "step.started":
			var s struct{ Step string }
			if err := json.Unmarshal(e.Data, &s); err != nil {
				return err
			}
			d.ui.say("writing", s.Step, 0, 0)
		case "notice":
			var n struct{ Detail string }
			if err := json.Unmarshal(e.Data, &n); err != nil {
				return err
			}
			d.ui.note(n.Detail)
		case "run.completed":
			return json.Unmarshal(e.Data, &res)
		case "run.failed", "run.cancelled":
			f := struct{ Code, Detail string }{"cancelled", "The run was cancelled."}
			if e.Type == "run.failed" {
				if err := json.Unmarshal(e.Data, &f); err != nil {
					return err
				}
			}
			failure = fault.New(fault.Invalid, f.Code, "%s", f.Detail)
		}
		return nil
	})
	if err != nil || failure != nil {
		return res, firstError(failure, err)
	}
	var r run
	if err := d.cl.call(ctx, "GET", "/api/v1/runs/"+runID, nil, &r); err != nil {
		return res, err
	}
	res.DraftID = r.Subject.ID
	var dr draft
	if err := d.cl.call(ctx, "GET", "/api/v1/blog/"+res.DraftID, nil, &dr); err != nil {
		return res, err
	}
	res.Title = dr.Title
	res.Path, err = d.export(ctx, res.DraftID)
	return res, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// export saves the post whole or not at all.
func (d *drafting) export(ctx context.Context, id string) (path string, err error) {
	body, err := json.Marshal(map[string]string{"format": d.format, "citations": d.cite, "preset": d.preset})
	if err != nil {
		return "", err
	}
	resp, err := d.cl.send(ctx, "POST", "/api/v1/blog/"+id+"/export", strings.NewReader(string(body)), http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read post: %w", err)
	}
	if d.out == "-" {
		d.ui.end()
		_, err = d.Stdout.Write(data)
		return "-", err
	}
	path = d.out
	if path == "" {
		path = downloadName(resp.Header.Get("Content-Disposition"))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make folder of the post: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".byline-*")
	if err != nil {
		return "", fmt.Errorf("save post: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = firstError(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("save post: %w", err)
	}
	return path, nil
}

func (d *drafting) finish(res result) error {
	d.ui.end()
	if len(res.Unused) > 0 {
		d.exit = ExitPartly
	}
	out := d.Stdout
	if res.Path == "-" {
		out = d.Stderr
	}
	if d.json {
		return json.NewEncoder(out).Encode(res)
	}
	d.tellUnused(res.Unused)
	fmt.Fprintf(out, "%s: %q, %d words, %d of %d sentences cited\n", res.Path, res.Title, res.Words, res.Cited, res.Sentences)
	return nil
}

func (d *drafting) tellUnused(all []unused) {
	if len(all) > 0 {
		d.ui.end()
		fmt.Fprintf(d.Stderr, "Not used:\n")
	}
	for _, u := range all {
		fmt.Fprintf(d.Stderr, "  %s: %s\n", u.Path, u.Reason)
	}
}

func reason(err error) string {
	if f := fault.Of(err); f.Kind != fault.Internal {
		return f.Say
	}
	return err.Error()
}
