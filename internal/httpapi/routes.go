package httpapi

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/account"
)

// routes is the whole surface at one look. What is not under /api is in plainRoutes.
func (s *server) routes() {
	const v1 = "/api/v1"
	asks, rules := needs(account.ScopeRead), needs(account.ScopeAdmin)
	stream := also("200", "That run's events, when Accept is text/event-stream", "text/event-stream", &huma.Schema{Type: "string"})

	handle(s, "POST", v1+"/auth/register", "register", "auth", "Open an account", s.register, public, status(201))
	handle(s, "POST", v1+"/auth/login", "login", "auth", "Exchange e-mail and password for tokens", s.login, public)
	handle(s, "POST", v1+"/auth/refresh", "refresh", "auth", "Exchange a refresh token for new tokens", s.refresh, public)
	handle(s, "POST", v1+"/auth/logout", "logout", "auth", "End a login", s.logout, public, status(204))
	handle(s, "GET", v1+"/auth/me", "me", "auth", "Who am I", s.me)
	handle(s, "POST", v1+"/auth/tickets", "add-ticket", "auth", "A ticket that lets a browser open a stream once, within 30 s", s.addTicket, status(201), asks)
	handle(s, "POST", v1+"/auth/api-keys", "add-api-key", "auth", "An API key: a right for a program to act as you, shown once", s.addKey, status(201), rules)
	handle(s, "GET", v1+"/auth/api-keys", "list-api-keys", "auth", "Your API keys, and how they are used", s.listKeys, rules)
	handle(s, "DELETE", v1+"/auth/api-keys/{key_id}", "delete-api-key", "auth", "End a key at once; streams that it opened end within seconds", s.deleteKey, status(204), rules)

	handle(s, "POST", v1+"/users", "add-user", "auth", "Open an account for somebody (admins)", s.addUser, status(201), rules)
	handle(s, "GET", v1+"/users", "list-users", "auth", "List accounts (admins)", s.listUsers, rules)

	s.handleUpload(v1 + "/documents/upload")
	handle(s, "POST", v1+"/documents/url", "add-url", "documents", "Fetch a page and keep it as it is now", s.addURL, status(201),
		also("200", "The workspace has these bytes already", "application/json", s.schemaOf(documentShape{})))
	handle(s, "GET", v1+"/documents", "list-documents", "documents", "List documents, newest first", s.listDocuments,
		also("200", "A page", "application/json", s.schemaOf(documentsBody{})))
	handle(s, "GET", v1+"/documents/{doc_id}", "get-document", "documents", "One document", s.getDocument)
	handle(s, "PATCH", v1+"/documents/{doc_id}", "patch-document", "documents", "Change title or tags", s.patchDocument)
	handle(s, "DELETE", v1+"/documents/{doc_id}", "delete-document", "documents", "Delete it everywhere; text in drafts stays unless purge_quotes", s.deleteDocument)
	handle(s, "POST", v1+"/documents/{doc_id}/process", "process-document", "documents", "Extract, chunk and index it, or go on where that failed", s.processDocument, status(202),
		also("200", "It is complete: its last run", "application/json", s.schemaOf(runBody{})))
	handle(s, "GET", v1+"/documents/{doc_id}/passages", "list-passages", "documents", "Its passages in order", s.listPassages)
	handle(s, "GET", v1+"/documents/{doc_id}/text", "get-text", "documents", "Its text, or a part of it", s.getText)
	handle(s, "GET", v1+"/documents/{doc_id}/content", "get-content", "documents", "The bytes as they were uploaded", s.getContent,
		also("200", "The bytes", "application/octet-stream", binary))
	handle(s, "GET", v1+"/documents/{doc_id}/pages/{number}", "get-page", "documents", "A page as PNG", s.getPage,
		also("200", "The page", "image/png", binary))
	handle(s, "POST", v1+"/documents/search", "search", "documents", "Find passages", s.search, asks)
	handle(s, "POST", v1+"/documents/query", "query", "documents", "Answer a question from the documents, with citations", s.query, asks,
		also("200", "The answer; or its run's events on the channel answer, when Accept is text/event-stream", "application/json", s.schemaOf(answerShape{})),
		func(o *huma.Operation) {
			o.Responses["200"].Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
		},
		also("202", "It takes longer than the client wants to wait, or the run waits for a person (question): the budget is used up. The same request with the same Idempotency-Key waits on; the run's last event has the answer", "application/json", s.schemaOf(runBody{})))

	handle(s, "POST", v1+"/blog/generate", "generate", "blog", "Write a post from documents", s.generate,
		also("202", "The draft and its run", "application/json", s.schemaOf(startedShape{})), stream)
	handle(s, "GET", v1+"/blog", "list-drafts", "blog", "List drafts, newest first, without their content", s.listDrafts)
	handle(s, "GET", v1+"/blog/{draft_id}", "get-draft", "blog", "One draft", s.getDraft)
	handle(s, "PUT", v1+"/blog/{draft_id}", "put-draft", "blog", "Save an edit as a new version; needs If-Match", s.putDraft)
	handle(s, "DELETE", v1+"/blog/{draft_id}", "delete-draft", "blog", "Delete a draft with its versions", s.deleteDraft, status(204))
	handle(s, "GET", v1+"/blog/{draft_id}/versions", "list-versions", "blog", "Its versions, newest first, without their content", s.listVersions)
	handle(s, "GET", v1+"/blog/{draft_id}/versions/{number}", "get-version", "blog", "One version with its citations", s.getVersion)
	handle(s, "GET", v1+"/blog/{draft_id}/evidence", "get-evidence", "blog", "What its sentences rest on, what is not shown, and whether it may be published", s.getEvidence)
	handle(s, "GET", v1+"/blog/{draft_id}/diff", "diff-versions", "blog", "How one version became another", s.diff)
	handle(s, "POST", v1+"/blog/{draft_id}/versions/{number}/restore", "restore-version", "blog", "Take its text again, as a new version", s.restore)
	handle(s, "POST", v1+"/blog/{draft_id}/undo", "undo", "blog", "Take back what was done last, as a new version", s.undo)
	handle(s, "POST", v1+"/blog/{draft_id}/redo", "redo", "blog", "Do again what was undone last, as a new version", s.redo)
	handle(s, "POST", v1+"/blog/{draft_id}/refine", "refine", "blog", "Ask for a change in words; it comes as a proposal, or is applied", s.refine,
		also("202", "The run", "application/json", s.schemaOf(runBody{})), stream)
	handle(s, "GET", v1+"/blog/{draft_id}/proposals", "list-proposals", "blog", "Changes that are offered, newest first", s.listProposals)
	handle(s, "GET", v1+"/blog/{draft_id}/proposals/{proposal_id}", "get-proposal", "blog", "One of them", s.getProposal)
	handle(s, "POST", v1+"/blog/{draft_id}/proposals/{proposal_id}/accept", "accept-proposal", "blog", "Take hunks over as a new version; 409 stale when the text has moved under one of them", s.acceptProposal)
	handle(s, "POST", v1+"/blog/{draft_id}/proposals/{proposal_id}/reject", "reject-proposal", "blog", "Turn hunks down", s.rejectProposal)
	handle(s, "POST", v1+"/blog/{draft_id}/export", "export-draft", "blog", "Download as a file", s.exportDraft, asks,
		also("200", "The file", "text/markdown", &huma.Schema{Type: "string"}),
		func(o *huma.Operation) {
			o.Responses["200"].Content["application/json"] = &huma.MediaType{Schema: &huma.Schema{Type: "object", AdditionalProperties: true}}
		})

	handle(s, "GET", v1+"/style-guide", "get-style-guide", "blog", "What every post of the workspace keeps to", s.getStyleGuide)
	handle(s, "PUT", v1+"/style-guide", "put-style-guide", "blog", "Change it; the next posts keep to it", s.putStyleGuide)

	s.sessionRoutes(v1)
	handle(s, "GET", v1+"/sessions/{session_id}/events", "session-events", "realtime", "All events of a session as a stream that does not end, from Last-Event-ID or ?after= on", s.sessionEvents, byTicket,
		also("200", "Server-sent events; the id is session_seq", "text/event-stream", &huma.Schema{Type: "string"}))
	s.socketRoute()

	handle(s, "GET", v1+"/runs", "list-runs", "runs", "List runs, newest first", s.listRuns)
	handle(s, "GET", v1+"/runs/{run_id}", "get-run", "runs", "One run", s.getRun)
	handle(s, "GET", v1+"/runs/{run_id}/steps", "list-steps", "runs", "What it did, as a tree: nodes, and within them searches, tools, questions and requests to models", s.listSteps)
	handle(s, "GET", v1+"/runs/{run_id}/events", "run-events", "runs", "Its events as a stream, from Last-Event-ID or ?after= on", s.runEvents, byTicket,
		also("200", "Server-sent events; the stream ends after the terminal one", "text/event-stream", &huma.Schema{Type: "string"}),
		also("204", "The run has ended and the cursor is at its end", "", nil))
	handle(s, "POST", v1+"/runs/{run_id}/cancel", "cancel-run", "runs", "Stop it", s.cancelRun)
	handle(s, "POST", v1+"/runs/{run_id}/requeue", "requeue-run", "runs", "Try a failed run again, from where it failed", s.requeueRun, status(202))

	handle(s, "GET", v1+"/usage", "list-usage", "ops", "What you have used of models, by month and model", s.listUsage)
	handle(s, "POST", v1+"/runs/{run_id}/answers", "answer-run", "runs", "Answer the question that it waits for", s.answerRun, status(202))
	handle(s, "POST", v1+"/runs/{run_id}/fork", "fork-run", "runs", "Write another draft from one of its checkpoints on", s.forkRun, status(202))

	handle(s, "GET", v1+"/indexes", "list-indexes", "ops", "The indexes and how complete they are (admins)", s.listIndexes, rules)
	handle(s, "POST", v1+"/indexes/rebuild", "rebuild-index", "ops", "Build indexes anew from the passages, in the background (admins)", s.rebuildIndex, status(202), rules)
	handle(s, "POST", v1+"/indexes/rollback", "roll-back-index", "ops", "Let the embedding space before the present one serve again (admins)", s.rollBackIndex, rules)

	handle(s, "GET", v1+"/status", "status", "ops", "What is up; details are for admins", s.status)
	handle(s, "GET", "/readyz", "ready", "ops", "Ready to serve", s.ready, public,
		also("503", "Not ready", "application/json", s.schemaOf(readyBody{})))
	s.api.OpenAPI().AddOperation(&huma.Operation{Method: "GET", Path: "/health", OperationID: "health", Tags: []string{"ops"}, Summary: "Alive", Security: anybody,
		Responses: map[string]*huma.Response{"200": {Description: "Alive", Content: map[string]*huma.MediaType{"application/json": {Schema: s.schemaOf(healthBody{})}}}}})
}

// plainRoutes are those that are not part of the described interface.
func (s *server) plainRoutes(spec []byte) {
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		w.Write(spec) //nolint:errcheck // the client has gone
	})
	s.mux.Handle("GET /metrics", s.Metrics.Handler())
}

var binary = &huma.Schema{Type: "string", Format: "binary"}

func (s *server) schemaOf(v any) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, "")
}

// schemaName names a Go type in the document: documentShape is Document.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	name = strings.TrimSuffix(name, "Shape")
	return strings.ToUpper(name[:1]) + name[1:]
}
