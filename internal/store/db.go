// Package store is all SQL: one *Store meets the store contracts of every room, on SQLite and on PostgreSQL, mostly from one text.
//
// A room's method is one transaction. Writes go through write, in one of two lanes: what people and event logs wait for goes
// before bulk (the artefacts of ingest, merges, sweeps). Reads see one snapshot. What a run writes carries its lease, and is
// refused once the fence has moved on. Who is to hear of new events is told after the commit.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"byline/internal/fault"
	"byline/internal/runs"
)

// Options of Open. With a DatabaseURL the library is on PostgreSQL, else in the SQLite file at Path.
type Options struct {
	Path        string
	DatabaseURL string // postgres://
	ReadOnly    bool   // look at a library that another process holds: no migration, no writer
	Log         *slog.Logger
}

// Store is an opened database. It is safe for concurrent use.
type Store struct {
	backend
	log    *slog.Logger
	bus    runs.Bus
	recent recent
	intake *intake // nil on PostgreSQL, and of a store that only reads
}

// lane of a write. What waits in the lane of events goes first.
type lane int

const (
	laneEvents lane = iota
	laneLog         // appends to the logs of runs: in the lane of events, but a few milliseconds do not matter to them
	laneHaste       // appends for which somebody waits
	laneBulk
)

// backend is what differs between the two databases.
type backend interface {
	// write runs do in a transaction; do may be run again after it was rolled back.
	write(ctx context.Context, l lane, do func(*tx) error) error
	// writeAll is n writes, which do gives, that may share a transaction. done is called once for each, by any goroutine.
	writeAll(l lane, n int, do func(i int) (context.Context, func(*tx) error), done func(i int, err error))
	// read runs do in one snapshot.
	read(ctx context.Context, do func(*tx) error) error
	// peek is read for one statement, which is a snapshot by itself.
	peek(ctx context.Context, do func(*tx) error) error
	ping(ctx context.Context) (detail string, err error)
	// noSpace tells whether the last write found the disk full.
	noSpace() bool
	// checkpoint rids the database's files of what was deleted; clean is false when a reader was in the way.
	checkpoint(ctx context.Context) (clean bool, err error)
	changed() (n int64, exact bool)
	indexChanged() (n int64, exact bool)
	// files are those of the database on this machine.
	files() []string
	postgres() bool
	close() error
}

// Open opens the database, brings its schema up to date and starts what it needs. A schema that is newer than this program
// is refused.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: o.Log}
	var err error
	if o.DatabaseURL != "" {
		err = s.openPostgres(ctx, o)
	} else {
		err = s.openSQLite(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Bus wakes those who wait for events of runs.
func (s *Store) Bus() runs.Bus { return s.bus }

// Ping asks the database for a sign of life and tells which one it is.
func (s *Store) Ping(ctx context.Context) (string, error) { return s.ping(ctx) }

// Changes counts the commits that changed documents. What was read after a number was taken may be kept for as long as the
// number stays; exact is false where other processes write as well, and nothing may be kept.
func (s *Store) Changes() (n int64, exact bool) { return s.changed() }

// IndexChanges counts the commits that changed segments that can be seen, their tombstones, or vectors; it is as Changes is.
func (s *Store) IndexChanges() (n int64, exact bool) { return s.indexChanged() }

// Space says so when the last write found the disk full. Reads go on meanwhile, and the next write that finds space heals it.
func (s *Store) Space() error {
	if s.noSpace() {
		return errFull
	}
	return nil
}

// Close waits for what is being written and lets go of the database.
func (s *Store) Close() error { return s.close() }

// tx is a transaction: of write or of read.
type tx struct {
	pg   bool // PostgreSQL, not SQLite
	ctx  context.Context
	q    querier
	now  int64    // microseconds since 1970, the same within the transaction
	wake []string // runs with new events, told after the commit
	new  []runs.Event

	recent *recent // of a write
	late   *late   // nil: events are written at once
	intake *intake // of a write on SQLite
	opens  *line   // what the intake may take in from now on
	closed []*line // what it may not
}

// querier runs statements whose placeholders are question marks.
type querier interface {
	exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanner is a row to read from.
type scanner interface{ Scan(dest ...any) error }

func (t *tx) exec(query string, args ...any) (int64, error) {
	r, err := t.q.exec(t.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	return r.RowsAffected()
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	rows, err := t.q.query(t.ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	return rows, nil
}

// row is a query for at most one row; none is told by Scan, see isNoRows.
func (t *tx) row(query string, args ...any) scanner { return oneRow{t, query, args} }

type oneRow struct {
	t     *tx
	query string
	args  []any
}

func (r oneRow) Scan(dest ...any) error {
	rows, err := r.t.query(r.query, r.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return fmt.Errorf("%s: %w", firstWords(r.query), err)
		}
		return sql.ErrNoRows
	}
	if err := rows.Scan(dest...); err != nil {
		return fmt.Errorf("%s: %w", firstWords(r.query), err)
	}
	return rows.Close()
}

// forUpdate locks the rows of a query until the transaction ends. SQLite has one writer, who needs no locks.
func (t *tx) forUpdate() string {
	if t.pg {
		return " FOR UPDATE"
	}
	return ""
}

// clock is the database's own time in microseconds, as SQL: two replicas compare leases by it, and by nothing else.
func (t *tx) clock() string {
	if t.pg {
		return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
	}
	return `CAST((julianday('now') - 2440587.5) * 86400000000 AS BIGINT)`
}

// firstWords names a statement in an error.
func firstWords(query string) string {
	f := strings.Fields(query)
	return strings.Join(f[:min(4, len(f))], " ")
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

func isMissing(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Kind == fault.NotFound
}

// missing names what a query did not find.
func missing(err error, noun string) error {
	if isNoRows(err) {
		return fault.Missing(noun)
	}
	return err
}

// micros is how a time stands in a column; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// The faults that a database gives by itself.
var (
	errFull = fault.New(fault.StorageFull, "storage_full", "The disk of the server is full. Free some space and try again; nothing that was saved is lost.")
	errBusy = &fault.Error{Kind: fault.Unavailable, Code: "store_unavailable", Say: "The database does not answer right now. Try again in a moment.", RetryAfter: time.Second}
)

// rebind turns question marks into $1, $2 ... for PostgreSQL. No statement of ours has a question mark in a text.
var rebind = func() func(string) string {
	var known sync.Map
	return func(query string) string {
		if r, ok := known.Load(query); ok {
			return r.(string)
		}
		var b strings.Builder
		n := 0
		for _, c := range query {
			if c == '?' {
				n++
				fmt.Fprintf(&b, "$%d", n)
				continue
			}
			b.WriteRune(c)
		}
		known.Store(query, b.String())
		return b.String()
	}
}()
