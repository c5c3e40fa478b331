package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"byline/internal/runs"
)

// liteDB is SQLite: one connection writes, in groups of members that each have a savepoint, and a few read.
type liteDB struct {
	path    string
	db      *sql.DB
	readers *readers
	writer  *liteConn
	bus     *runs.LocalBus
	recent  *recent
	late    late // of the writer
	intake  *intake

	changes      atomic.Int64 // commits that changed documents
	reindexed    atomic.Int64 // commits that changed the index
	readOnly     bool         // so others may write
	full         atomic.Bool  // the last write found no space on the disk
	events, bulk chan *member
	stop         chan struct{}  // closed by close
	loops        sync.WaitGroup // the writer, and who moves the log
	committed    chan struct{}  // one place: something was, since the log was looked at
	closing      sync.RWMutex   // held for reading while a member is handed in
	closed       bool
}

// liteConn is a connection with its prepared statements. It serves one goroutine at a time.
type liteConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	wrote bool // a statement of this transaction changed documents; see Store.Changes
	index bool // or the index; see Store.IndexChanges
}

// The pragmas, busy_timeout first so that it holds for the others. secure_delete: what is deleted is overwritten.
const litePragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(ON)&_pragma=secure_delete(ON)&_pragma=mmap_size(0)&_pragma=cache_size(-2000)&_pragma=temp_store(MEMORY)"

func (s *Store) openSQLite(ctx context.Context, o Options) error {
	dsn := "file:" + (&url.URL{Path: o.Path}).EscapedPath() + litePragmas
	if o.ReadOnly {
		dsn += "&mode=ro"
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return fmt.Errorf("open %s: %w", o.Path, err)
	}
	n := max(4, runtime.GOMAXPROCS(0)*2)
	db.SetMaxOpenConns(n + 3) // readers, the writer, who moves the log, sweeps
	db.SetMaxIdleConns(n + 3)
	l := &liteDB{path: o.Path, db: db, readOnly: o.ReadOnly, readers: newReaders(n), bus: runs.NewBus(), recent: &s.recent, events: make(chan *member, groupSize), bulk: make(chan *member),
		stop: make(chan struct{}), committed: make(chan struct{}, 1)}
	s.backend, s.bus = l, l.bus
	if err := migrate(ctx, db, false, o.ReadOnly); err != nil {
		return errors.Join(err, db.Close())
	}
	if o.ReadOnly {
		return nil
	}
	l.writer = &liteConn{}
	err = l.writer.open(ctx, db)
	if err == nil {
		_, err = l.writer.exec(ctx, "PRAGMA cache_size(-16000)") // KiB; readers have 2,000 each
	}
	if err == nil {
		_, err = l.writer.exec(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint(%d)", walEnd))
	}
	if err == nil {
		l.intake = newIntake(l.recent)
		s.intake = l.intake
		err = l.intake.restore(ctx, l.writer)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	l.loops.Go(l.run)
	l.loops.Go(l.moveLog)
	return nil
}

// readers are connections that nobody reads with now. The one used last is taken first: its pages and statements are in memory, and
// those that are seldom needed have few.
type readers struct {
	free chan struct{} // a place for each of idle

	mu   sync.Mutex
	idle []*liteConn
}

func newReaders(n int) *readers {
	r := &readers{free: make(chan struct{}, n)}
	for range n { // connections are made when they are first needed
		r.give(&liteConn{})
	}
	return r
}

func (r *readers) take(ctx context.Context) (*liteConn, error) {
	select {
	case <-r.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	return c, nil
}

// takeIdle takes all that nobody reads with, the one used last first.
func (r *readers) takeIdle() (list []*liteConn) {
	for {
		select {
		case <-r.free:
		default:
			return list
		}
		r.mu.Lock()
		list = append(list, r.idle[len(r.idle)-1])
		r.idle = r.idle[:len(r.idle)-1]
		r.mu.Unlock()
	}
}

func (r *readers) give(c *liteConn) {
	r.mu.Lock()
	r.idle = append(r.idle, c)
	r.mu.Unlock()
	r.free <- struct{}{}
}

func (c *liteConn) open(ctx context.Context, db *sql.DB) error {
	if c.conn != nil {
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to database: %w", liteFault(err))
	}
	c.conn, c.stmts = conn, map[string]*sql.Stmt{}
	return nil
}

// maxStmts bounds the statements of a connection: lists make many of different length.
const maxStmts = 200

func (c *liteConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := c.stmts[query]; ok {
		return st, nil
	}
	st, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(c.stmts) >= maxStmts {
		for q, old := range c.stmts {
			delete(c.stmts, q)
			if err := old.Close(); err != nil {
				return nil, err
			}
			break
		}
	}
	c.stmts[query] = st
	return st, nil
}

func (c *liteConn) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := c.prepare(ctx, query)
	if err != nil {
		return nil, liteFault(err)
	}
	c.wrote = c.wrote || begins(query, ofDocuments)
	c.index = c.index || begins(query, ofIndex)
	r, err := st.ExecContext(ctx, args...)
	return r, liteFault(err)
}

func (c *liteConn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := c.prepare(ctx, query)
	if err != nil {
		return nil, liteFault(err)
	}
	rows, err := st.QueryContext(ctx, args...)
	return rows, liteFault(err)
}

// read takes a free connection. The snapshot begins with the first statement.
func (l *liteDB) read(ctx context.Context, do func(*tx) error) error {
	return l.peek(ctx, func(t *tx) (err error) {
		if _, err := t.q.exec(t.ctx, "BEGIN"); err != nil {
			return err
		}
		defer func() {
			if _, e := t.q.exec(t.ctx, "ROLLBACK"); e != nil && err == nil {
				err = e
			}
		}()
		return do(t)
	})
}

// peek is read without a transaction of its own.
func (l *liteDB) peek(ctx context.Context, do func(*tx) error) error {
	c, err := l.readers.take(ctx)
	if err != nil {
		return err
	}
	defer l.readers.give(c)
	if err := c.open(ctx, l.db); err != nil {
		return err
	}
	// A context without an end: watching one costs more than most statements, and none of them is long.
	return do(&tx{ctx: context.WithoutCancel(ctx), q: c, now: time.Now().UnixMicro()})
}

func (l *liteDB) ping(ctx context.Context) (string, error) {
	return "sqlite", l.read(ctx, func(t *tx) error {
		var one int
		return t.row("SELECT 1").Scan(&one)
	})
}

func (l *liteDB) noSpace() bool { return l.full.Load() }

// changed counts commits: nobody else writes, since this process holds the data directory.
func (l *liteDB) changed() (int64, bool) { return l.changes.Load(), true }

// indexChanged is changed, of the index.
func (l *liteDB) indexChanged() (int64, bool) { return l.reindexed.Load(), !l.readOnly }

var (
	// ofDocuments begin statements that change what a list of documents shows.
	ofDocuments = []string{"UPDATE document ", "INSERT INTO document ", "DELETE FROM document "}
	// ofIndex begin those that change which segments are seen, what is hidden in them, or vectors. Writing a segment's row and
	// slices is none: nobody sees them before an UPDATE.
	ofIndex = []string{"UPDATE segment ", "DELETE FROM segment ", "UPDATE segment_document ", "INSERT INTO segment_document ",
		"DELETE FROM segment_document ", "UPDATE vector ", "INSERT INTO vector ", "DELETE FROM vector "}
)

func begins(query string, with []string) bool {
	for _, verb := range with {
		if strings.HasPrefix(query, verb) {
			return true
		}
	}
	return false
}

func (l *liteDB) files() []string { return []string{l.path, l.path + "-wal"} }

func (l *liteDB) postgres() bool { return false }

func (l *liteDB) close() error {
	l.closing.Lock()
	if l.closed {
		l.closing.Unlock()
		return nil
	}
	l.closed = true
	l.closing.Unlock()
	close(l.stop)
	l.loops.Wait()
	for { // what was handed in and not taken: nobody may wait forever
		select {
		case m := <-l.events:
			for _, m := range with(nil, m) {
				m.end(errBusy)
			}
		case m := <-l.bulk:
			m.end(errBusy)
		default:
			return l.db.Close()
		}
	}
}

// liteFault names the errors of SQLite that people can do something about.
func liteFault(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return errFull.Because(err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return errBusy.Because(err)
	case sqlite3.SQLITE_IOERR:
		if isNoSpace(err) {
			return errFull.Because(err)
		}
	}
	return err
}

// isNoSpace tells whether the system said so; SQLite has no code of its own for a write that failed for want of space.
func isNoSpace(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_IOERR_WRITE
}
