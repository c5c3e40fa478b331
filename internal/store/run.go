package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

const (
	runNoun = "run"

	subjectDocument = "document"
	subjectDraft    = "draft"
	subjectMessage  = session.SubjectMessage
)

// leaseLife is how long a lease holds on PostgreSQL, by the database's clock. On SQLite the process that holds the data
// directory holds all leases, until the next one voids them (Recover): there no clock is asked.
const leaseLife = 9 * time.Second

const runColumns = `id, workspace, kind, status, subject, subject_id, session_id, input, last_seq, attempt, failures, error_code, error, question, not_before, created_at, ended_at`

func scanRun(row scanner) (r runs.Run, err error) {
	var input, code, detail, question string
	var notBefore, created, ended int64
	err = row.Scan(&r.ID, &r.Workspace, &r.Kind, &r.Status, &r.Subject.Type, &r.Subject.ID, &r.SessionID, &input, &r.LastSeq, &r.Attempt, &r.Failures,
		&code, &detail, &question, &notBefore, &created, &ended)
	if err == nil && question != "" {
		err = json.Unmarshal([]byte(question), &r.Question)
	}
	if err != nil {
		return runs.Run{}, err
	}
	r.Input, r.NotBefore, r.CreatedAt, r.EndedAt = json.RawMessage(input), timeOf(notBefore), timeOf(created), timeOf(ended)
	if code != "" {
		r.Failure = &runs.Failure{Code: code, Detail: detail}
	}
	return r, nil
}

func (t *tx) run(ws ident.Workspace, id string) (runs.Run, error) {
	r, err := scanRun(t.row(`SELECT `+runColumns+` FROM run WHERE id = ? AND workspace = ?`, id, ws))
	return r, missing(err, runNoun)
}

// subject is what a leased run works on; it holds the run's row and checks the fence.
func (t *tx) subject(l runs.Lease) (string, error) {
	if _, _, err := t.held(l); err != nil {
		return "", err
	}
	var id string
	err := t.row(`SELECT subject_id FROM run WHERE id = ?`, l.RunID).Scan(&id)
	return id, err
}

// Recover begins the life of a process: it names the library if it is new, and voids the leases that an earlier process of
// this data directory held. On PostgreSQL they run out by themselves, since another replica may hold them.
func (s *Store) Recover(ctx context.Context) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO installation (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING`, ident.New()); err != nil || t.pg {
			return err
		}
		_, err := t.exec(`UPDATE run SET lease_owner = '', lease_until = 0 WHERE status = 'running'`)
		return err
	})
}

// Claim meets runs.Queue.
func (s *Store) Claim(ctx context.Context, owner string, kinds []runs.Kind) (r runs.Run, l runs.Lease, ok bool, err error) {
	due := false // a look before the write: an idle worker must not write each second
	err = s.read(ctx, func(t *tx) error {
		due, err = t.exists(`SELECT 1 FROM run WHERE `+t.dueRun(len(kinds))+` LIMIT 1`, args(kinds)...)
		return err
	})
	if err != nil || !due {
		return runs.Run{}, runs.Lease{}, false, err
	}
	err = s.write(ctx, laneEvents, func(t *tx) error {
		ok = false
		lock := ""
		if t.pg {
			lock = ` FOR UPDATE SKIP LOCKED`
		}
		r, err = scanRun(t.row(`SELECT `+runColumns+` FROM run WHERE `+t.dueRun(len(kinds))+` ORDER BY id LIMIT 1`+lock, args(kinds)...))
		if isNoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if free, err := t.sessionFree(r); err != nil || !free {
			return err
		}
		if r.LastSeq, err = t.shelved(r); err != nil {
			return err
		}
		if r.Status == runs.Waiting { // nobody answered in time
			if err := t.resolve(r, runs.Reply{Expired: true}); err != nil {
				return err
			}
			r.Question = nil
		}
		event := runs.NewEvent{Type: runs.EventStarted, Data: attemptData{r.Attempt + 1}}
		if r.Attempt > 0 {
			event.Type = runs.EventRestarted
		}
		until := `0`
		if t.pg {
			until = t.clock() + ` + ` + literal(leaseLife.Microseconds())
		}
		var fence int64
		err := t.row(`UPDATE run SET status = 'running', fence = fence + 1, lease_owner = ?, lease_until = `+until+`, attempt = attempt + 1
			WHERE id = ? RETURNING fence`, owner, r.ID).Scan(&fence)
		if err != nil {
			return err
		}
		r.Status, r.Attempt = runs.Running, r.Attempt+1
		l = runs.Lease{RunID: r.ID, Workspace: r.Workspace, Owner: owner, Fence: fence}
		if r.LastSeq, err = t.log(r.ID, r.SessionID, r.LastSeq, []runs.NewEvent{event}); err != nil {
			return err
		}
		ok = true
		return nil
	})
	return r, l, ok && err == nil, err
}

type attemptData struct {
	Attempt int `json:"attempt"`
}

// dueRun is the condition of a run that may be claimed: its time has come, its lease has run out, or nobody answered its question in time.
func (t *tx) dueRun(kinds int) string {
	lost := `lease_owner = ''`
	if t.pg {
		lost = `lease_until < ` + t.clock()
	}
	return `kind IN (` + marks(kinds) + `) AND (status = 'queued' AND not_before <= ` + t.clock() + ` AND ` + itsTurn + ` OR status = 'running' AND ` + lost +
		` OR status = 'waiting' AND question_until > 0 AND question_until <= ` + t.clock() + `)`
}

// itsTurn is the condition of a queued run that need not wait for another one: runs of the kind chat of one session go one after
// another, the oldest first, and one that waits for an answer is under way.
const itsTurn = `(kind <> 'chat' OR NOT EXISTS (SELECT 1 FROM run o WHERE o.session_id = run.session_id AND o.session_id <> '' AND o.ended_at = 0
	AND o.kind = 'chat' AND o.id <> run.id AND (o.id < run.id OR o.status <> 'queued')))`

// sessionFree looks again at itsTurn while the session is held: two replicas whose clocks differ make ids that are not in the order of
// their commits, so another one may just have claimed the session's other run.
func (t *tx) sessionFree(r runs.Run) (bool, error) {
	if !t.pg || r.Kind != runs.KindChat || r.Status != runs.Queued {
		return true, nil
	}
	var id string
	if err := t.row(`SELECT id FROM session WHERE id = ? FOR UPDATE`, r.SessionID).Scan(&id); err != nil {
		return false, err
	}
	return t.exists(`SELECT 1 FROM run WHERE id = ? AND `+itsTurn, r.ID)
}

// Renew meets runs.Queue. On SQLite there is nothing to prolong.
func (s *Store) Renew(ctx context.Context, leases []runs.Lease, prolong bool) (lost []runs.Lease, err error) {
	check := func(t *tx) error {
		holding := map[string]int64{}
		ids := make([]string, len(leases))
		for i, l := range leases {
			ids[i] = l.RunID
		}
		err := eachPart(ids, func(part []string) error {
			return each(t, scanFence, func(f fence) { holding[f.run] = f.fence },
				`SELECT id, fence FROM run WHERE status = 'running' AND id IN (`+marks(len(part))+`)`, args(part)...)
		})
		lost = slices.DeleteFunc(slices.Clone(leases), func(l runs.Lease) bool { return holding[l.RunID] == l.Fence })
		return err
	}
	if !prolong || !s.postgres() {
		err = s.read(ctx, check)
		return lost, err
	}
	err = s.write(ctx, laneEvents, func(t *tx) error {
		for _, l := range leases {
			if _, err := t.exec(`UPDATE run SET lease_until = `+t.clock()+` + `+literal(leaseLife.Microseconds())+`
				WHERE id = ? AND fence = ? AND status = 'running'`, l.RunID, l.Fence); err != nil {
				return err
			}
		}
		return check(t)
	})
	return lost, err
}

// fence is where a run's fence stands; the first is 1.
type fence struct {
	run   string
	fence int64
}

func scanFence(row scanner) (f fence, err error) {
	err = row.Scan(&f.run, &f.fence)
	return f, err
}

// Append meets runs.Queue.
func (s *Store) Append(ctx context.Context, l runs.Lease, events ...runs.NewEvent) (last int64, err error) {
	lane := laneLog
	if runs.Haste(ctx) {
		lane = laneHaste
	}
	err = s.write(ctx, lane, func(t *tx) error {
		last, err = t.appendHeld(l, events)
		return err
	})
	return last, err
}

// AppendAll meets runs.Queue.
func (s *Store) AppendAll(list []runs.Joined, done func(i int, err error)) {
	s.writeAll(laneLog, len(list), func(i int) (context.Context, func(*tx) error) {
		return list[i].Ctx, func(t *tx) error {
			_, err := t.appendHeld(list[i].Lease, []runs.NewEvent{{Type: runs.EventToken, Data: list[i].Token}})
			return err
		}
	}, done)
}

// SaveStep meets runs.Queue.
func (s *Store) SaveStep(ctx context.Context, l runs.Lease, step runs.Step, events ...runs.NewEvent) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.appendEvents(l, events...); err != nil {
			return err
		}
		return t.saveStep(l.RunID, step)
	})
}

func (t *tx) saveStep(runID string, step runs.Step) error {
	_, err := t.exec(`INSERT INTO run_step (run_id, key, done, result, attempt, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (run_id, key) DO UPDATE SET done = excluded.done, result = excluded.result, attempt = excluded.attempt, at = excluded.at`,
		runID, step.Key, flag(step.Done), string(step.Result), step.Attempt, t.now)
	return err
}

// Steps meets runs.Queue.
func (s *Store) Steps(ctx context.Context, runID string) (steps []runs.Step, err error) {
	err = s.read(ctx, func(t *tx) error {
		steps, err = all(t, scanStep, `SELECT key, done, result, attempt, at FROM run_step WHERE run_id = ? ORDER BY at, key`, runID)
		return err
	})
	return steps, err
}

func scanStep(row scanner) (st runs.Step, err error) {
	var done int
	var result string
	var at int64
	err = row.Scan(&st.Key, &done, &result, &st.Attempt, &at)
	st.Done, st.At = done == 1, timeOf(at)
	if result != "" {
		st.Result = json.RawMessage(result)
	}
	return st, err
}

// End meets runs.Queue.
func (s *Store) End(ctx context.Context, l runs.Lease, e runs.Ending) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		last, session, err := t.held(l)
		if err != nil {
			return err
		}
		if e.Status == runs.Queued {
			_, err := t.exec(`UPDATE run SET status = 'queued', fence = fence + 1, lease_owner = '', lease_until = 0, failures = failures + ?,
				not_before = `+t.clock()+` + CAST(? AS BIGINT) WHERE id = ?`, flag(e.Failure != nil), e.Wait.Microseconds(), l.RunID)
			t.wake = append(t.wake, l.RunID)
			return err
		}
		return t.end(l.RunID, session, last, e)
	})
}

// end is the terminal write of a run whose row is held: status, last event, and what becomes of its subject.
func (t *tx) end(runID, session string, last int64, e runs.Ending) error {
	event := runs.NewEvent{Type: runs.EventCompleted, Data: e.Data}
	failure := runs.Failure{}
	switch e.Status {
	case runs.Failed:
		failure = *e.Failure
		event = runs.NewEvent{Type: runs.EventFailed, Data: failure}
	case runs.Cancelled:
		event = runs.NewEvent{Type: runs.EventCancelled}
	}
	r, err := scanRun(t.row(`SELECT `+runColumns+` FROM run WHERE id = ?`, runID))
	if err != nil {
		return err
	}
	if err := t.settle(r, e.Status, failure); err != nil {
		return err
	}
	if _, err := t.log(runID, session, last, []runs.NewEvent{event}); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE run SET status = ?, fence = fence + 1, lease_owner = '', lease_until = 0, question = '', question_until = 0, error_code = ?, error = ?, ended_at = ?,
		failures = failures + ? WHERE id = ?`, e.Status, failure.Code, failure.Detail, t.now, flag(e.Status == runs.Failed), runID)
	return err
}

// settle leaves the subject of a run that did not complete in a state that people can go on from. (A completed run's last
// fenced effect has done that.)
func (t *tx) settle(r runs.Run, status runs.Status, f runs.Failure) error {
	if status == runs.Completed {
		return nil
	}
	switch r.Subject.Type {
	case subjectDocument:
		return t.settleDocument(r, status, f)
	case subjectDraft:
		if r.Kind == runs.KindGenerate { // others leave a draft as it is
			return t.settleDraft(r, status)
		}
	case subjectMessage:
		return t.settleReply(r, status, f)
	}
	return nil
}

// settleDocument: a cancelled document is pending again, and a failed one says why. One that readers see already (a forced
// run over a complete one) stays complete, with the reason beside it; not one that has become visible but has no vectors yet.
func (t *tx) settleDocument(r runs.Run, status runs.Status, f runs.Failure) error {
	to := `'pending'`
	if status == runs.Failed {
		to = `'failed'`
	}
	_, err := t.exec(`UPDATE document SET status = CASE WHEN generation > 0 AND (generation <> work_generation OR stage <> 'indexed') THEN 'completed' ELSE `+to+` END, error_code = ?, error = ?,
		progress_done = 0, progress_of = 0, updated_at = ? WHERE id = ? AND run_id = ?`, f.Code, f.Detail, t.now, r.Subject.ID, r.ID)
	return err
}

// settleDraft keeps the text so far, as a version.
func (t *tx) settleDraft(r runs.Run, status runs.Status) error {
	to := `'draft'`
	if status == runs.Failed {
		to = `'failed'`
	}
	log, err := all(t, scanEvent, eventsQuery+` AND type IN (?, ?, ?) ORDER BY seq`, r.ID, 0, runs.EventToken, runs.EventSnapshot, runs.EventReset)
	if err != nil {
		return err
	}
	if err := t.keepText(r, runs.Fold(log, "draft")); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE draft SET status = `+to+`, updated_at = ? WHERE id = ? AND run_id = ?`, t.now, r.Subject.ID, r.ID)
	return err
}

// keepText makes the text that a run left unfinished a version, unless it has written one.
func (t *tx) keepText(r runs.Run, text string) error {
	if text == "" {
		return nil
	}
	d, err := t.lockedDraft(r.Workspace, r.Subject.ID)
	if isMissing(err) {
		return nil // deleted: this is why the run ends
	}
	if err != nil {
		return err
	}
	if last, err := t.versionOfRun(d, r.ID); err != nil || last != nil {
		return err
	}
	v := draft.Version{Cause: draft.CauseGenerate, Title: d.Title, Content: text, Words: len(strings.Fields(text)), Message: "unfinished"}
	if _, err := t.addVersion(&d, v, r.ID); err != nil {
		return err
	}
	return t.updateDraft(d)
}

// Cancel meets runs.Admin.
func (s *Store) Cancel(ctx context.Context, ws ident.Workspace, id string) (r runs.Run, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		if r, err = t.run(ws, id); err != nil {
			return err
		}
		if err := t.cancelRun(id); err != nil {
			return err
		}
		r, err = t.run(ws, id)
		return err
	})
	return r, err
}

// cancelRun ends a run if it has not ended. The fence that it raises stops its worker.
func (t *tx) cancelRun(id string) error {
	if err := t.shelve(id); err != nil {
		return err
	}
	var status runs.Status
	var last int64
	var session string
	err := t.row(`SELECT status, last_seq, session_id FROM run WHERE id = ?`+t.forUpdate(), id).Scan(&status, &last, &session)
	if err != nil || status.Terminal() {
		return err
	}
	return t.end(id, session, last, runs.Ending{Status: runs.Cancelled})
}

// cancelRuns ends all runs of a subject.
func (t *tx) cancelRuns(ws ident.Workspace, subjectID string) error {
	ids, err := all(t, scanString, `SELECT id FROM run WHERE subject_id = ? AND workspace = ? AND ended_at = 0 ORDER BY id`, subjectID, ws)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.cancelRun(id); err != nil {
			return err
		}
	}
	return nil
}

// Requeue meets runs.Admin.
func (s *Store) Requeue(ctx context.Context, ws ident.Workspace, id string, once *ident.Once) (runs.Run, error) {
	return s.runOnce(ctx, ws, once, func(t *tx) (runs.Run, error) {
		old, err := t.run(ws, id)
		if err != nil {
			return runs.Run{}, err
		}
		if old.Status != runs.Failed {
			return runs.Run{}, fault.New(fault.Conflict, "run_not_failed", "Only a failed run can be tried again; this one is %s.", old.Status)
		}
		busy, err := t.exists(`SELECT 1 FROM run WHERE workspace = ? AND subject_id = ? AND ended_at = 0`, ws, old.Subject.ID)
		if err != nil {
			return runs.Run{}, err
		}
		if busy {
			return runs.Run{}, fault.New(fault.Conflict, "run_under_way", "Another run works on the same %s. Wait until it has ended.", old.Subject.Type)
		}
		r, err := t.createRun(ws, runs.NewRun{Kind: old.Kind, Subject: old.Subject, SessionID: old.SessionID, Input: old.Input})
		if err != nil {
			return runs.Run{}, err
		}
		if _, err := t.exec(`INSERT INTO run_step (run_id, key, done, result, attempt, at)
			SELECT ?, key, done, result, 0, at FROM run_step WHERE run_id = ? AND done = 1 AND REPLACE(key, ?, '') = key`, r.ID, old.ID, runs.ShowPrefix); err != nil {
			return runs.Run{}, err
		}
		return r, t.unsettle(r)
	})
}

// unsettle hands the subject over to its new run. Of a subject that is gone the run cannot begin.
func (t *tx) unsettle(r runs.Run) error {
	if r.Subject.Type == subjectEngine || r.Subject.Type == subjectQuery {
		return nil
	}
	if r.Subject.Type == subjectDraft && r.Kind != runs.KindGenerate {
		_, err := t.draft(r.Workspace, r.Subject.ID)
		if isMissing(err) {
			err = subjectGone(r)
		}
		return err
	}
	if r.Subject.Type == subjectMessage {
		return t.unsettleReply(r)
	}
	query := `UPDATE document SET status = 'pending', error_code = '', error = '', run_id = ?, updated_at = ? WHERE id = ?`
	if r.Subject.Type == subjectDraft {
		query = `UPDATE draft SET status = 'generating', run_id = ?, updated_at = ? WHERE id = ?`
	}
	n, err := t.exec(query, r.ID, t.now, r.Subject.ID)
	if err == nil && n == 0 {
		err = subjectGone(r)
	}
	return err
}

func subjectGone(r runs.Run) error {
	return fault.New(fault.Conflict, "subject_gone", "The %s of this run was deleted.", r.Subject.Type)
}

// Run meets runs.Admin.
func (s *Store) Run(ctx context.Context, ws ident.Workspace, id string) (r runs.Run, err error) {
	err = s.read(ctx, func(t *tx) error {
		r, err = t.run(ws, id)
		return err
	})
	if err == nil {
		r.LastSeq = s.lastSeq(id, r.LastSeq)
	}
	return r, err
}

// Runs meets runs.Admin.
func (s *Store) Runs(ctx context.Context, ws ident.Workspace, f runs.Filter) (list []runs.Run, total int, err error) {
	err = s.read(ctx, func(t *tx) error {
		p := pageOf[runs.Run]{columns: runColumns, from: "run", id: "id", cursor: f.Cursor, limit: f.Limit, scan: scanRun}
		p.where.and("workspace = ?", ws)
		if f.Status != "" {
			p.where.and("status = ?", f.Status)
		}
		if f.Kind != "" {
			p.where.and("kind = ?", f.Kind)
		}
		if f.SessionID != "" {
			p.where.and("session_id = ? AND session_id <> ''", f.SessionID)
		}
		if f.SubjectID != "" {
			p.where.and("subject_id = ?", f.SubjectID)
		}
		list, total, err = page(t, p)
		return err
	})
	for i := range list {
		list[i].LastSeq = s.lastSeq(list[i].ID, list[i].LastSeq)
	}
	return list, total, err
}
