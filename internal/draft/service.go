package draft

import (
	"context"
	"slices"
	"strings"
	"time"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// Documents is what drafts need to know of their sources.
type Documents interface {
	// Named gives those of the ids that exist in the workspace, in the order asked.
	Named(ctx context.Context, ws ident.Workspace, ids []string) ([]document.Document, error)
	// Text gives a piece of a document's text from a UTF-8 byte offset on, whole runes, and the length of all.
	Text(ctx context.Context, ws ident.Workspace, id string, start, limit int) (text string, length int, err error)
}

// Service begins, changes and exports drafts. It is safe for concurrent use.
type Service struct {
	Store
	Changes
	documents Documents
}

// New makes a service.
func New(store interface {
	Store
	Changes
}, documents Documents) *Service {
	return &Service{Store: store, Changes: store, documents: documents}
}

// Generate creates a draft and the run that writes it. All documents must be there and complete.
func (s *Service) Generate(ctx context.Context, ws ident.Workspace, w Wish, categories, tags []string, once *ident.Once) (Draft, runs.Run, error) {
	w.DocumentIDs = unique(w.DocumentIDs)
	if len(w.DocumentIDs) == 0 {
		return Draft{}, runs.Run{}, fault.Bad("body.document_ids", "required", "Name at least one document to write from.")
	}
	docs, err := s.documents.Named(ctx, ws, w.DocumentIDs)
	if err != nil {
		return Draft{}, runs.Run{}, err
	}
	if len(docs) < len(w.DocumentIDs) {
		return Draft{}, runs.Run{}, fault.Missing("document")
	}
	var waiting []fault.Field
	for _, d := range docs {
		if d.Generation == 0 {
			waiting = append(waiting, fault.Field{Location: "body.document_ids", Code: string(d.Status), Message: d.Filename + " is " + string(d.Status) + "."})
		}
	}
	if waiting != nil {
		e := fault.New(fault.Conflict, "document_not_ready", "Some documents have no text yet. Wait until they are completed, process those that failed, or leave them out.")
		e.Fields = waiting
		return Draft{}, runs.Run{}, e
	}
	if w.StyleGuide, err = s.StyleGuide(ctx, ws); err != nil {
		return Draft{}, runs.Run{}, err
	}
	now := time.Now()
	title := strings.TrimSpace(w.Title)
	return s.Add(ctx, Draft{ID: ident.New(), Workspace: ws, Title: title, Status: Generating, DocumentIDs: w.DocumentIDs,
		Categories: unique(categories), Tags: unique(tags), CreatedAt: now, UpdatedAt: now}, w, once)
}

// Edit saves a person's change as a new version. Citations whose sentences stand word for word move with them; a sentence that
// was changed is checked anew.
func (s *Service) Edit(ctx context.Context, ws ident.Workspace, id string, match int, e Edit) (Draft, error) {
	if e.Content != nil && match > 0 {
		v, err := s.Version(ctx, ws, id, match)
		if err != nil && fault.Of(err).Kind != fault.NotFound {
			return Draft{}, err
		}
		e.Citations = carry(v.Citations, v.Content, *e.Content)
	}
	for _, list := range []*[]string{e.Categories, e.Tags} {
		if list != nil {
			*list = unique(*list)
		}
	}
	return s.Save(ctx, ws, id, match, e)
}

// Export writes the newest version as a file, and tells its number.
func (s *Service) Export(ctx context.Context, ws ident.Workspace, id string, e Export) (File, int, error) {
	d, err := s.Draft(ctx, ws, id)
	if err != nil {
		return File{}, 0, err
	}
	if d.Version == 0 {
		return File{}, 0, fault.New(fault.Conflict, "no_version", "This draft has no text yet. Wait until its run %s has ended.", d.RunID)
	}
	v, err := s.Version(ctx, ws, id, d.Version)
	if err != nil {
		return File{}, 0, err
	}
	d.Title, d.Content = v.Title, v.Content
	f, err := e.Write(d, v.Citations)
	return f, v.Number, err
}

// unique drops repetitions and blanks and keeps the order.
func unique(all []string) []string {
	var out []string
	for _, s := range all {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
