package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/draft"
	"byline/internal/fault"
)

type briefBody struct {
	Strict
	Topics         []string `json:"topics,omitempty" maxItems:"50"`
	Audience       string   `json:"audience,omitempty" maxLength:"500"`
	Tone           string   `json:"tone,omitempty" maxLength:"500"`
	Language       string   `json:"language,omitempty" maxLength:"35"`
	Words          int      `json:"words,omitempty" minimum:"50" maximum:"20000"`
	Must           []string `json:"must,omitempty" maxItems:"50"`
	MustNot        []string `json:"must_not,omitempty" maxItems:"50"`
	Outline        []string `json:"outline,omitempty" maxItems:"50"`
	Template       string   `json:"template,omitempty" enum:"report,how-to,news,comparison,faq,minutes" doc:"The form of the post; needs a model"`
	ApproveOutline bool     `json:"approve_outline,omitempty" doc:"Wait until a person has answered the question about the outline"`
	Web            bool     `json:"web,omitempty" doc:"The web may be searched for what the brief asks for; needs a model and a search engine"`
}

type generateIn struct {
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	RawBody []byte
	Body    struct {
		Strict
		DocumentIDs  []string   `json:"document_ids" minItems:"1" maxItems:"500"`
		Title        string     `json:"title,omitempty" maxLength:"300"`
		Instructions string     `json:"instructions,omitempty" maxLength:"20000"`
		Categories   []string   `json:"categories,omitempty" maxItems:"50"`
		Tags         []string   `json:"tags,omitempty" maxItems:"50"`
		SessionID    string     `json:"session_id,omitempty"`
		Brief        *briefBody `json:"brief,omitempty"`
		Provider     string     `json:"llm_provider,omitempty" maxLength:"50" doc:"Which provider of models writes; offline writes without one"`
		Model        string     `json:"llm_model,omitempty" maxLength:"200"`
	}
}

// startedShape is the answer to a generate request that asked for no stream.
type startedShape struct {
	Draft draftShape `json:"draft"`
	Run   runShape   `json:"run"`
}

func (s *server) generate(ctx context.Context, in *generateIn) (*huma.StreamResponse, error) {
	b := in.Body
	if b.SessionID != "" {
		return nil, fault.Bad("body.session_id", "not_available", "Sessions are not part of this version yet; leave session_id out.")
	}
	w := draft.Wish{DocumentIDs: b.DocumentIDs, Title: b.Title, Instructions: b.Instructions, Author: userOf(ctx).ID, Provider: b.Provider, Model: b.Model}
	if br := b.Brief; br != nil {
		if br.Web && !s.WebSearch {
			return nil, fault.Bad("body.brief.web", "web_search_off", "This installation does not search the web: set TAVILY_API_KEY or BYLINE_SEARXNG_URL, or leave web out.")
		}
		w.Brief = draft.Brief{Topics: br.Topics, Audience: br.Audience, Tone: br.Tone, Language: br.Language, Words: br.Words,
			Must: br.Must, MustNot: br.MustNot, Outline: br.Outline, Template: br.Template, ApproveOutline: br.ApproveOutline, Web: br.Web}
	}
	d, r, err := s.Drafts.Generate(ctx, workspaceOf(ctx), w, b.Categories, b.Tags, onceOf(in.Key, "generate", in.RawBody))
	if err != nil {
		return nil, err
	}
	return s.begun(ctx, r, startedShape{toDraft(d), toRun(r)}), nil
}

type styleGuideBody struct {
	Text string `json:"text" maxLength:"20000" doc:"What every post of the workspace keeps to: words, tone, form"`
}

type styleGuideOut struct{ Body styleGuideBody }

func (s *server) getStyleGuide(ctx context.Context, _ *struct{}) (*styleGuideOut, error) {
	text, err := s.Drafts.StyleGuide(ctx, workspaceOf(ctx))
	return &styleGuideOut{styleGuideBody{text}}, err
}

type putStyleGuideIn struct {
	Body struct {
		Strict
		Text string `json:"text" maxLength:"20000"`
	}
}

func (s *server) putStyleGuide(ctx context.Context, in *putStyleGuideIn) (*styleGuideOut, error) {
	if err := s.Drafts.SetStyleGuide(ctx, workspaceOf(ctx), in.Body.Text); err != nil {
		return nil, err
	}
	return &styleGuideOut{styleGuideBody{in.Body.Text}}, nil
}

// DraftPath names a draft.
type DraftPath struct {
	ID string `path:"draft_id"`
}

type draftOut struct {
	ETag string `header:"ETag"`
	Body draftShape
}

func toDraftOut(d draft.Draft) *draftOut { return &draftOut{etag(d.Version), toDraft(d)} }

func etag(version int) string { return `"` + strconv.Itoa(version) + `"` }

type listDraftsIn struct {
	CursorIn
	Status string `query:"status" enum:"draft,generating,completed,published,failed"`
	Query  string `query:"q" maxLength:"200" doc:"In the title"`
	Stale  bool   `query:"stale" doc:"Only those that cite a source which was processed anew or deleted since"`
}

type draftsOut struct {
	Body struct {
		Drafts []draftShape `json:"drafts"`
		Total  int          `json:"total"`
		Next   *string      `json:"next" nullable:"true"`
	}
}

func (s *server) listDrafts(ctx context.Context, in *listDraftsIn) (*draftsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	page, total, err := s.Drafts.Drafts(ctx, workspaceOf(ctx), draft.Filter{Status: draft.Status(in.Status), Query: in.Query, Stale: in.Stale, Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &draftsOut{}
	out.Body.Drafts, out.Body.Total = make([]draftShape, 0, len(page)), total
	for _, d := range page {
		out.Body.Drafts = append(out.Body.Drafts, toDraft(d))
	}
	out.Body.Next = next(page, in.Limit, func(d draft.Draft) string { return d.ID })
	return out, nil
}

func (s *server) getDraft(ctx context.Context, in *DraftPath) (*draftOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	d, err := s.Drafts.Draft(ctx, workspaceOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return toDraftOut(d), nil
}

type putDraftIn struct {
	DraftPath
	IfMatch string `header:"If-Match" doc:"The ETag of the version that was edited"`
	Body    struct {
		Strict
		Title      *string   `json:"title,omitempty" minLength:"1" maxLength:"300"`
		Content    *string   `json:"content,omitempty" maxLength:"2000000"`
		Categories *[]string `json:"categories,omitempty" maxItems:"50"`
		Tags       *[]string `json:"tags,omitempty" maxItems:"50"`
		Message    string    `json:"message,omitempty" maxLength:"500" doc:"Why, for the list of versions"`
	}
}

func (s *server) putDraft(ctx context.Context, in *putDraftIn) (*draftOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	match, err := parseMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := in.Body
	d, err := s.Drafts.Edit(ctx, workspaceOf(ctx), in.ID, match, draft.Edit{Title: b.Title, Content: b.Content, Categories: b.Categories, Tags: b.Tags,
		Message: b.Message, Author: userOf(ctx).ID})
	if err != nil {
		return nil, err
	}
	return toDraftOut(d), nil
}

// parseMatch reads the version of an If-Match; our ETags are its number in quotes.
func parseMatch(h string) (int, error) {
	if h == "" {
		return 0, fault.New(fault.NeedsMatch, "if_match_required", "Send If-Match with the ETag of the version that you edited, so that nobody's work is overwritten.")
	}
	v, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(strings.TrimSpace(h), "W/"), `"`))
	if err != nil {
		return 0, fault.New(fault.Stale, "stale", "If-Match names no version of this draft. Read the draft again and apply your change to it.")
	}
	return v, nil
}

func (s *server) deleteDraft(ctx context.Context, in *DraftPath) (*struct{}, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	return nil, s.Drafts.Delete(ctx, workspaceOf(ctx), in.ID)
}

type listVersionsIn struct {
	DraftPath
	Limit  int `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor int `query:"cursor" minimum:"0" doc:"next of the page before"`
}

type versionsOut struct {
	Body struct {
		Versions []versionShape `json:"versions"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listVersions(ctx context.Context, in *listVersionsIn) (*versionsOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	page, total, err := s.Drafts.Versions(ctx, workspaceOf(ctx), in.ID, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &versionsOut{}
	out.Body.Versions, out.Body.Total = []versionShape{}, total
	for _, v := range page {
		out.Body.Versions = append(out.Body.Versions, toVersion(v))
	}
	out.Body.Next = next(page, in.Limit, func(v draft.Version) string { return strconv.Itoa(v.Number) })
	return out, nil
}

// VersionPath names a version of a draft.
type VersionPath struct {
	DraftPath
	Number int `path:"number" minimum:"1"`
}

type versionOut struct{ Body versionShape }

func (s *server) getVersion(ctx context.Context, in *VersionPath) (*versionOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	v, err := s.Drafts.Version(ctx, workspaceOf(ctx), in.ID, in.Number)
	if err != nil {
		return nil, err
	}
	out := &versionOut{toVersion(v)}
	citations := toCitations(v.Citations)
	out.Body.Content, out.Body.Citations = &v.Content, &citations
	return out, nil
}

type exportIn struct {
	DraftPath
	Body *struct {
		Strict
		Format    string `json:"format,omitempty" enum:"markdown,html,json" default:"markdown"`
		Preset    string `json:"preset,omitempty" enum:"jekyll,hugo,astro,eleventy,plain" default:"plain"`
		Citations string `json:"citations,omitempty" enum:"footnotes,links,none" default:"footnotes"`
	}
}

type fileOut struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	ETag        string `header:"ETag"`
	Body        []byte
}

func (s *server) exportDraft(ctx context.Context, in *exportIn) (*fileOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	var e draft.Export
	if b := in.Body; b != nil {
		e = draft.Export{Format: b.Format, Preset: b.Preset, Citations: b.Citations}
	}
	f, version, err := s.Drafts.Export(ctx, workspaceOf(ctx), in.ID, e)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	attachment(h, f.Name, f.MediaType)
	return &fileOut{f.MediaType, h.Get("Content-Disposition"), h.Get("Content-Security-Policy"), etag(version), f.Data}, nil
}
