package store

import (
	"context"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// artefacts says where what was made of a document is: its generation, and the ones whose rows hold text and pages, and
// passages. They differ where a generation took over what an older one had made.
type artefacts struct {
	number, text, passages      int64
	textLength, pages, passaged int
	language                    string
}

// work is a document as far as processing goes. Both artefacts are the same once the work is indexed.
type work struct {
	id    string
	stage document.Stage // of doing
	runID string
	seen  artefacts // what readers see; number 0 is nothing
	doing artefacts
}

// work reads how far a document has come; with lock (forUpdate) its row is held until the transaction ends.
func (t *tx) work(ws ident.Workspace, id, lock string) (work, error) {
	w := work{id: id}
	err := t.row(`SELECT stage, run_id,
			generation, text_generation, passage_generation, text_length, page_count, passage_count, language,
			work_generation, work_text_generation, work_passage_generation, work_text_length, work_page_count, work_passages,
			work_language
		FROM document WHERE id = ? AND workspace = ?`+lock, id, ws).
		Scan(&w.stage, &w.runID,
			&w.seen.number, &w.seen.text, &w.seen.passages, &w.seen.textLength, &w.seen.pages, &w.seen.passaged, &w.seen.language,
			&w.doing.number, &w.doing.text, &w.doing.passages, &w.doing.textLength, &w.doing.pages, &w.doing.passaged,
			&w.doing.language)
	return w, missing(err, documentNoun)
}

var stages = []document.Stage{document.Stored, document.Extracted, document.Chunked, document.Indexed, document.Embedded}

// stageAfter gives the stage that follows, "" after the last.
func stageAfter(s document.Stage) document.Stage {
	if i := rank(s); i+1 < len(stages) {
		return stages[i+1]
	}
	return ""
}

// rank of a stage; of one that is unknown, that of the first.
func rank(s document.Stage) int {
	for i, known := range stages {
		if s == known {
			return i
		}
	}
	return 0
}

// anew begins another generation with a stage. What the stages before it have made is taken over by reference, from the
// work that came farthest; where nobody has made it yet, work begins earlier.
func (w work) anew(from document.Stage) (next artefacts, stage document.Stage) {
	next = artefacts{number: w.doing.number + 1, text: w.doing.number + 1, passages: w.doing.number + 1}
	have := max(0, min(rank(from), rank(document.Indexed))-1) // what is embedded belongs to a generation that is seen
	source := w.doing
	if rank(w.stage) < have && w.seen.number > 0 {
		source = w.seen
	} else {
		have = min(have, rank(w.stage))
	}
	if have >= rank(document.Extracted) {
		next.text, next.textLength, next.pages = source.text, source.textLength, source.pages
	}
	if have >= rank(document.Chunked) {
		next.passages, next.passaged, next.language = source.passages, source.passaged, source.language
	}
	return next, stages[have]
}

// Process meets document.Store.
func (s *Store) Process(ctx context.Context, ws ident.Workspace, id string, force bool, from document.Stage, once *ident.Once) (r runs.Run, started bool, err error) {
	if from != "" && rank(from) == 0 && from != document.Stored {
		return runs.Run{}, false, fault.Bad("query.from_stage", "bad_stage", "from_stage is one of extracted, chunked, indexed, embedded.")
	}
	err = s.write(ctx, laneEvents, func(t *tx) error {
		r, started = runs.Run{}, false
		made, repeated, err := t.once(ws, once)
		if err != nil {
			return err
		}
		if repeated {
			r, err = t.run(ws, made.Run)
			started = true
			return err
		}
		w, err := t.work(ws, id, t.forUpdate())
		if err != nil {
			return err
		}
		if r, started, err = t.process(ws, w, force, from); err != nil {
			return err
		}
		made.Resource, made.Run = id, r.ID
		return t.remember(ws, once, made)
	})
	return r, started, err
}

func (t *tx) process(ws ident.Workspace, w work, force bool, from document.Stage) (r runs.Run, started bool, err error) {
	if w.runID != "" {
		if r, err = t.run(ws, w.runID); err != nil {
			return runs.Run{}, false, err
		}
		if !r.Status.Terminal() || w.stage == document.Embedded && !force {
			return r, false, nil // under way, or nothing is left to do
		}
	}
	if force || from != "" {
		if err = t.beginGeneration(ws, w, from); err != nil {
			return runs.Run{}, false, err
		}
	}
	if r, err = t.createRun(ws, processRun(w.id)); err != nil {
		return runs.Run{}, false, err
	}
	_, err = t.exec(`UPDATE document SET status = ?, run_id = ?, error_code = '', error = '', progress_done = 0, progress_of = 0,
		updated_at = ? WHERE id = ?`, document.Pending, r.ID, t.now, w.id)
	return r, true, err
}

func (t *tx) beginGeneration(ws ident.Workspace, w work, from document.Stage) error {
	next, stage := w.anew(from)
	_, err := t.exec(`UPDATE document SET stage = ?, work_generation = ?, work_text_generation = ?, work_passage_generation = ?,
		work_text_length = ?, work_page_count = ?, work_passages = ?, work_language = ? WHERE id = ?`,
		stage, next.number, next.text, next.passages, next.textLength, next.pages, next.passaged, next.language, w.id)
	if err != nil || w.doing.number == w.seen.number {
		return err
	}
	return t.discard(ws, trashGeneration, w.id, w.doing.number, "") // nobody will finish it
}

// The kinds of trash.
const (
	trashDocument   = "document"
	trashGeneration = "generation"
	trashDraft      = "draft"
	trashSession    = "session"
	trashMessage    = "message"
)

// discard leaves a note for the sweep.
func (t *tx) discard(ws ident.Workspace, kind, ref string, generation int64, blob string) error {
	_, err := t.exec(`INSERT INTO trash (id, workspace, kind, ref, generation, blob, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		ident.New(), ws, kind, ref, generation, blob, t.now)
	return err
}
