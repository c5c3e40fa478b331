package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"byline/internal/runs"
)

// intake takes in the tokens of runs on SQLite. The log of each run has pages of its own, and a page that is changed is written whole: as
// many runs as write, as many pages a commit. So the tokens of all runs in a commit are one row of run_intake, and each run's are
// shelved, that is moved to its log in run_event, when there are many of them or something else is to be written about the run. Until then
// readers have them from memory, and after a crash restore shelves what the rows hold. In the tables a run's log and its last_seq
// always fit each other; they are only behind.
//
// Runs of sessions are not taken in: their events are numbered twice.
type intake struct {
	// Of the writer alone: what the group that is being committed does.
	touched []*line
	opening map[string]*line
	row     int64 // id of its row
	wrote   bool  // it has one
	least   int64 // the first row there is, or that will be
	rest    int64 // the same behind the commit
	buf     []byte
	recent  *recent

	mu    sync.Mutex // guards what follows, which the writer alone changes
	lines map[string]*line
	queue []place // of lines with events, the longest waiting first; those whose line has been shelved since do not count
	size  int     // bytes of all events
}

// line is a run whose tokens are taken in.
type line struct {
	run    string
	fence  int64
	seq    int64        // the last that is committed
	events []runs.Event // committed and not shelved
	first  int64        // the row that has the oldest of them
	since  time.Time

	// Of the group that is being committed.
	staged  []runs.Event
	touched bool // it is in touched
	shelved bool // events are
	closed  bool // staged too, and the line is to be forgotten: the next token looks at the run's row again
}

type place struct {
	line  *line
	first int64
}

func (p place) counts() bool { return len(p.line.events) > 0 && p.line.first == p.first }

const (
	intakeAge  = 3 * time.Second // how long events wait to be shelved
	intakeSize = 8 << 20         // bytes of events that wait at most
	intakeMany = 16              // lines that one commit shelves because of their age
)

func newIntake(r *recent) *intake {
	return &intake{recent: r, lines: map[string]*line{}, opening: map[string]*line{}, row: 1, least: 1}
}

// line gives that of a lease, or nil when the run's row must be asked.
func (in *intake) line(l runs.Lease) *line {
	if ln := in.lines[l.RunID]; ln != nil && ln.fence == l.Fence && !ln.closed {
		return ln
	}
	return nil
}

func onlyTokens(events []runs.NewEvent) bool {
	for _, e := range events {
		if e.Type != runs.EventToken {
			return false
		}
	}
	return len(events) > 0
}

// takeIn adds tokens to a line.
func (t *tx) takeIn(ln *line, events []runs.NewEvent) (last int64, err error) {
	fresh := make([]runs.Event, len(events))
	last = ln.seq + int64(len(ln.staged))
	for i, e := range events {
		data, err := encodeEvent(e)
		if err != nil {
			return 0, err
		}
		last++
		fresh[i] = runs.Event{RunID: ln.run, Seq: last, At: timeOf(t.now), Type: e.Type, Data: data}
	}
	t.intake.touch(ln)
	ln.staged = append(ln.staged, fresh...)
	t.wake = append(t.wake, ln.run)
	return last, nil
}

func (in *intake) touch(ln *line) {
	if !ln.touched {
		ln.touched = true
		in.touched = append(in.touched, ln)
	}
}

// takesIn says, behind an append of tokens to a run's log, that the next ones may be taken in.
func (t *tx) takesIn(l runs.Lease, last int64) {
	if t.intake != nil {
		t.opens = &line{run: l.RunID, fence: l.Fence, seq: last}
	}
}

// shelve moves what was taken in of a run to its log. It comes before everything else that is written about a run: then the rows are all
// there is to know.
func (t *tx) shelve(runID string) error {
	if t.intake == nil {
		return nil
	}
	delete(t.intake.opening, runID)
	ln := t.intake.lines[runID]
	if ln == nil || ln.closed {
		return nil
	}
	ln.closed = true
	t.closed = append(t.closed, ln)
	all := make([]runs.Event, 0, len(ln.events)+len(ln.staged))
	return t.intake.shelve(t.ctx, t.q, ln, append(append(all, ln.events...), ln.staged...))
}

// shelved is the last seq of a run of which nothing is left in the intake.
func (t *tx) shelved(r runs.Run) (last int64, err error) {
	if t.intake == nil || t.intake.lines[r.ID] == nil {
		return r.LastSeq, nil
	}
	if err := t.shelve(r.ID); err != nil {
		return 0, err
	}
	err = t.row(`SELECT last_seq FROM run WHERE id = ?`, r.ID).Scan(&last)
	return last, err
}

// shelveAll does it for all runs, so that nothing of any is left in the intake behind the commit.
func (t *tx) shelveAll() error {
	if t.intake == nil {
		return nil
	}
	for id := range t.intake.lines {
		if err := t.shelve(id); err != nil {
			return err
		}
	}
	return nil
}

const shelfQuery = `INSERT INTO run_event (run_id, seq, at, type, data) VALUES `

// shelfSizes insert many rows at once. A row that is there already is the same one.
var shelfSizes = func() (sizes []struct {
	rows  int
	query string
}) {
	const row, end = `(?, ?, ?, '` + runs.EventToken + `', ?)`, ` ON CONFLICT DO NOTHING`
	for _, n := range []int{64, 16, 4, 1} {
		sizes = append(sizes, struct {
			rows  int
			query string
		}{n, shelfQuery + strings.Repeat(row+", ", n-1) + row + end})
	}
	return sizes
}()

func (in *intake) shelve(ctx context.Context, q querier, ln *line, events []runs.Event) error {
	in.touch(ln)
	ln.shelved = true
	return shelf(ctx, q, ln.run, events)
}

// shelf adds tokens to a run's log as far as it does not have them. Those of a run that is gone go with it.
func shelf(ctx context.Context, q querier, runID string, events []runs.Event) error {
	if len(events) == 0 {
		return nil
	}
	last := events[len(events)-1].Seq
	r, err := q.exec(ctx, `UPDATE run SET last_seq = ? WHERE id = ? AND last_seq BETWEEN ? AND ?`, last, runID, events[0].Seq-1, last-1)
	if err != nil {
		return fmt.Errorf("shelve tokens: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err
	}
	args := make([]any, 0, 4*len(events))
	for _, e := range events {
		args = append(args, runID, e.Seq, micros(e.At), string(e.Data))
	}
	for _, size := range shelfSizes {
		for n := 4 * size.rows; len(args) >= n; args = args[n:] {
			if _, err := q.exec(ctx, size.query, args[:n]...); err != nil {
				return fmt.Errorf("shelve tokens: %w", err)
			}
		}
	}
	return nil
}

// undo takes back what a member did that was rolled back to its savepoint.
func (in *intake) undo(t *tx) {
	for _, ln := range t.closed {
		ln.closed, ln.shelved = false, false
	}
}

// write ends a group: it shelves what is due (not what has just come: its readers come now, and find it in memory), writes the row of what was taken in, and removes the rows that nobody needs any more.
func (in *intake) write(ctx context.Context, q querier, now time.Time) error {
	size := in.size
	for n, p := range in.queue {
		over := size > intakeSize
		if !p.counts() || p.line.shelved {
			continue
		}
		if !over && (n >= intakeMany || now.Sub(p.line.since) < intakeAge) {
			break
		}
		if err := in.shelve(ctx, q, p.line, p.line.events); err != nil {
			return err
		}
		size -= sizeOf(p.line.events)
	}
	in.buf = in.buf[:0]
	for _, ln := range in.touched {
		if !ln.closed {
			in.buf = appendIntake(in.buf, ln.staged)
		}
	}
	in.rest = in.row
	for _, p := range in.queue {
		if p.counts() && !p.line.shelved {
			in.rest = p.first
			break
		}
	}
	if in.rest > in.least { // first: the new row takes the pages that become free
		if _, err := q.exec(ctx, `DELETE FROM run_intake WHERE id < ?`, in.rest); err != nil {
			return fmt.Errorf("clear intake: %w", err)
		}
	}
	if in.wrote = len(in.buf) > 0; in.wrote {
		if _, err := q.exec(ctx, `INSERT INTO run_intake (id, data) VALUES (?, ?)`, in.row, string(in.buf)); err != nil {
			return fmt.Errorf("write intake: %w", err)
		}
	}
	return nil
}

func sizeOf(events []runs.Event) (n int) {
	for _, e := range events {
		n += len(e.Data)
	}
	return n
}

// done says what has become of a group.
func (in *intake) done(committed bool, now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, ln := range in.touched {
		staged, shelved, closed := ln.staged, ln.shelved, ln.closed
		ln.staged, ln.touched, ln.shelved, ln.closed = nil, false, false, false
		if !committed {
			continue
		}
		ln.seq += int64(len(staged))
		if len(staged) > 0 && len(ln.events) == 0 {
			in.recent.drop(ln.run) // what follows is not there
		}
		if shelved {
			in.size -= sizeOf(ln.events)
			ln.events, ln.first = nil, 0
		}
		if len(staged) > 0 && !closed {
			if len(ln.events) == 0 {
				ln.first, ln.since = in.row, now
				in.queue = append(in.queue, place{ln, in.row})
			}
			ln.events = append(ln.events, staged...)
			in.size += sizeOf(staged)
		}
		if closed {
			delete(in.lines, ln.run)
		}
	}
	if committed {
		for id, ln := range in.opening {
			in.lines[id] = ln
		}
		if in.least = in.rest; in.wrote {
			in.row++
		}
		n := 0
		for n < len(in.queue) && !in.queue[n].counts() {
			n++
		}
		in.queue = append(in.queue[:0], in.queue[n:]...)
	}
	clear(in.touched)
	in.touched, in.wrote = in.touched[:0], false
	clear(in.opening)
}

// empty tells whether nothing waits to be shelved.
func (in *intake) empty() bool { return len(in.queue) == 0 && in.least == in.row }

// behind gives a run's events behind a seq that may not be in its log yet, at most limit. all: there are no others behind that seq.
func (in *intake) behind(runID string, after int64, limit int) (events []runs.Event, all bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	ln := in.lines[runID]
	if ln == nil {
		return nil, false
	}
	shelved := ln.seq - int64(len(ln.events)) // they are dense
	from := max(after-shelved, 0)
	if n := int64(len(ln.events)); from < n {
		events = append(events, ln.events[from:min(n, from+int64(limit))]...)
	}
	return events, after >= shelved
}

// head gives the last seq of a run if it may be behind in its row.
func (in *intake) head(runID string) (seq int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if ln := in.lines[runID]; ln != nil {
		seq = ln.seq
	}
	return seq
}

// taken is an event in a row of the intake.
type taken struct {
	Run  string          `json:"run"`
	Seq  int64           `json:"seq"`
	At   int64           `json:"at"`
	Data json.RawMessage `json:"data"`
}

// appendIntake writes events as JSON: ids need no escapes, and data is JSON already.
func appendIntake(b []byte, events []runs.Event) []byte {
	for _, e := range events {
		b = append(append(b, `{"run":"`...), e.RunID...)
		b = strconv.AppendInt(append(b, `","seq":`...), e.Seq, 10)
		b = strconv.AppendInt(append(b, `,"at":`...), micros(e.At), 10)
		b = append(append(append(b, `,"data":`...), e.Data...), '}', '\n')
	}
	return b
}

// restore shelves what an earlier process has taken in.
func (in *intake) restore(ctx context.Context, c *liteConn) error {
	t := &tx{ctx: ctx, q: c}
	rows, err := all(t, scanString, `SELECT data FROM run_intake ORDER BY id`)
	if err != nil || len(rows) == 0 {
		return err
	}
	logs := map[string][]runs.Event{}
	for _, row := range rows {
		d := json.NewDecoder(strings.NewReader(row))
		for {
			var e taken
			if err := d.Decode(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("read intake: %w", err)
			}
			logs[e.Run] = append(logs[e.Run], runs.Event{Seq: e.Seq, At: timeOf(e.At), Data: e.Data})
		}
	}
	if _, err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	for id, events := range logs {
		if err := shelf(ctx, c, id, events); err != nil {
			_, e := t.exec(`ROLLBACK`)
			return errors.Join(err, e)
		}
	}
	if _, err := t.exec(`DELETE FROM run_intake`); err != nil {
		_, e := t.exec(`ROLLBACK`)
		return errors.Join(err, e)
	}
	_, err = t.exec(`COMMIT`)
	return err
}
