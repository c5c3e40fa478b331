package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// waitingData is the data of run.waiting.
type waitingData struct {
	Question runs.Question `json:"question"`
}

// Ask meets runs.Queue.
func (s *Store) Ask(ctx context.Context, l runs.Lease, q runs.Question) error {
	text, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("write question %s: %w", q.Key, err)
	}
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.appendEvents(l, runs.NewEvent{Type: runs.EventWaiting, Data: waitingData{q}}); err != nil {
			return err
		}
		if err := t.saveStep(l.RunID, runs.Step{Key: q.Key}); err != nil {
			return err
		}
		until := int64(0)
		if !q.ExpiresAt.IsZero() {
			until = q.ExpiresAt.UnixMicro()
		}
		_, err := t.exec(`UPDATE run SET status = 'waiting', question = ?, question_until = ?, fence = fence + 1, lease_owner = '', lease_until = 0
			WHERE id = ?`, string(text), until, l.RunID)
		if err != nil || !q.Yields {
			return err
		}
		return t.yieldAtOnce(l.RunID, q)
	})
}

// yieldAtOnce ends the wait of a run whose question gives way, if something was said meanwhile. The session is held: its log has the question.
func (t *tx) yieldAtOnce(id string, q runs.Question) error {
	attempts, err := all(t, scanInt, `SELECT r.attempt FROM run r WHERE r.id = ? AND r.session_id <> '' AND EXISTS (SELECT 1 FROM run o
		WHERE o.session_id = r.session_id AND o.kind = 'chat' AND o.ended_at = 0 AND o.id > r.id)`, id)
	if err != nil || len(attempts) == 0 {
		return err
	}
	return t.resolve(runs.Run{ID: id, Attempt: attempts[0], Question: &q}, runs.Reply{Expired: true})
}

// kept is a reply with the question that it answers, as the step keeps it.
type kept struct {
	runs.Reply
	QuestionID string `json:"question_id"`
}

// Answer meets runs.Admin.
func (s *Store) Answer(ctx context.Context, ws ident.Workspace, id, questionID string, reply runs.Reply) (r runs.Run, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		if lock := t.forUpdate(); lock != "" {
			var found string
			if err := t.row(`SELECT id FROM run WHERE id = ? AND workspace = ?`+lock, id, ws).Scan(&found); err != nil {
				return missing(err, runNoun)
			}
		}
		if r, err = t.run(ws, id); err != nil {
			return err
		}
		if r.Question == nil || r.Question.ID != questionID {
			return t.answered(r, questionID, reply)
		}
		if err := r.Question.Check(reply.Value); err != nil {
			return err
		}
		if err := t.answeredFile(r, reply.Value); err != nil {
			return err
		}
		if err := t.resolve(r, reply); err != nil {
			return err
		}
		r, err = t.run(ws, id)
		return err
	})
	return r, err
}

// answeredFile looks for the document that answers a question for a file. In a session it becomes one of the session's.
func (t *tx) answeredFile(r runs.Run, value json.RawMessage) error {
	var id string
	if r.Question.Kind != runs.AskFile || json.Unmarshal(value, &id) != nil || r.Question.Offers(id) {
		return nil
	}
	err := t.haveDocuments(r.Workspace, []string{id})
	if isMissing(err) {
		return fault.Bad("body.value", "bad_answer", "There is no such document. Upload the file, and answer with the id of its document.")
	}
	if err != nil || r.SessionID == "" {
		return err
	}
	return t.addSessionDocuments(r.SessionID, id)
}

// answered is nil when the question was given this answer before; a client that heard nothing asks again.
func (t *tx) answered(r runs.Run, questionID string, reply runs.Reply) error {
	steps, err := all(t, scanStep, `SELECT key, done, result, attempt, at FROM run_step WHERE run_id = ? AND done = 1`, r.ID)
	if err != nil {
		return err
	}
	for _, s := range steps {
		var k kept
		if json.Unmarshal(s.Result, &k) != nil || k.QuestionID != questionID {
			continue
		}
		if bytes.Equal(compact(k.Value), compact(reply.Value)) {
			return nil
		}
		if k.Expired {
			return fault.New(fault.Conflict, "already_answered", "Nobody answered this question in time, and the conversation has gone on. Say it as a message.")
		}
		return fault.New(fault.Conflict, "already_answered", "This question was answered already; the run went on with that answer.")
	}
	if r.Question == nil {
		return fault.New(fault.Conflict, "not_waiting", "This run waits for no answer; it is %s.", r.Status)
	}
	return fault.New(fault.Conflict, "other_question", "The run waits for the answer to another question now: %s.", r.Question.ID)
}

// compact is JSON without white space, so that values can be compared.
func compact(value json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return value
	}
	return b.Bytes()
}

// resolve keeps the reply to a waiting run's question and queues the run.
func (t *tx) resolve(r runs.Run, reply runs.Reply) error {
	result, err := json.Marshal(kept{reply, r.Question.ID})
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if err := t.saveStep(r.ID, runs.Step{Key: r.Question.Key, Done: true, Result: result, Attempt: r.Attempt}); err != nil {
		return err
	}
	return t.unwait(r.ID)
}

// unwait queues a waiting run. Without a reply it asks again.
func (t *tx) unwait(id string) error {
	n, err := t.exec(`UPDATE run SET status = 'queued', question = '', question_until = 0 WHERE id = ? AND status = 'waiting'`, id)
	if n > 0 {
		t.wake = append(t.wake, id)
	}
	return err
}

// yield ends the waits of a session's runs whose questions give way to what is said instead. One that is being answered is let be.
func (t *tx) yield(ws ident.Workspace, sessionID string) error {
	lock := t.forUpdate()
	if lock != "" {
		lock += " SKIP LOCKED"
	}
	ids, err := all(t, scanString, `SELECT id FROM run WHERE session_id = ? AND kind = ? AND status = 'waiting' ORDER BY id`+lock, sessionID, runs.KindChat)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := t.run(ws, id)
		if err == nil && r.Question != nil && r.Question.Yields {
			err = t.resolve(r, runs.Reply{Expired: true})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unwaitReaders queues the runs that wait for an answer about a text from a document that goes away: they begin again without
// it, and until then would hold what they have read of it.
func (t *tx) unwaitReaders(ws ident.Workspace, documentID string) error {
	ids, err := all(t, scanString, `SELECT r.id FROM run r JOIN draft d ON d.id = r.subject_id WHERE r.status = 'waiting' AND d.workspace = ?
		AND REPLACE(d.document_ids, ?, '') <> d.document_ids ORDER BY r.id`, ws, encodeItem(documentID))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.unwait(id); err != nil {
			return err
		}
	}
	return nil
}
