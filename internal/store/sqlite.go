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
	readers chan *liteConn
	writer  *liteConn
	bus     *runs.LocalBus

	changes      atomic.Int64 // commits that changed documents
	events, bulk chan *member
	stop         chan struct{} // closed by close
	stopped      chan struct{} // closed when the writer has gone
	closing      sync.RWMutex  // held for reading while a member is handed in
	closed       bool
}

// member is one write on its way into a group commit.
type member struct {
	ctx  context.Context
	do   func(*tx) error
	done chan error
	wake []string
}

// liteConn is a connection with its prepared statements. It serves one goroutine at a time.
type liteConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	wrote bool // a statement of this transaction changed documents; see Store.Changes
}

// The pragmas, busy_timeout first so that it holds for the others. secure_delete: what is deleted is overwritten.
const litePragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(ON)&_pragma=secure_delete(ON)&_pragma=mmap_size(0)&_pragma=cache_size(-2000)&_pragma=temp_store(MEMORY)"

// groupSize is how many writes of the lane of events share a commit at most.
const groupSize = 64

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
	db.SetMaxOpenConns(n + 2) // readers, the writer, checkpoints
	db.SetMaxIdleConns(n + 2)
	l := &liteDB{path: o.Path, db: db, readers: make(chan *liteConn, n), bus: runs.NewBus(), events: make(chan *member, groupSize), bulk: make(chan *member),
		stop: make(chan struct{}), stopped: make(chan struct{})}
	s.backend, s.bus = l, l.bus
	if err := migrate(ctx, db, false, o.ReadOnly); err != nil {
		return errors.Join(err, db.Close())
	}
	for range n { // connections are made when they are first needed
		l.readers <- &liteConn{}
	}
	if o.ReadOnly {
		close(l.stopped)
		return nil
	}
	l.writer = &liteConn{}
	err = l.writer.open(ctx, db)
	if err == nil {
		_, err = l.writer.exec(ctx, "PRAGMA cache_size(-16000)") // KiB; readers have 2,000 each
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	go l.run()
	return nil
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
	c.wrote = c.wrote || changesDocuments(query)
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
	var c *liteConn
	select {
	case c = <-l.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.readers <- c }()
	if err := c.open(ctx, l.db); err != nil {
		return err
	}
	// A context without an end: watching one costs more than most statements, and none of them is long.
	return do(&tx{ctx: context.WithoutCancel(ctx), q: c, now: time.Now().UnixMicro()})
}

// write hands a member to the writer and waits for its commit.
func (l *liteDB) write(ctx context.Context, ln lane, do func(*tx) error) error {
	m := &member{ctx: ctx, do: do, done: make(chan error, 1)}
	to := l.events
	if ln == laneBulk {
		to = l.bulk
	}
	l.closing.RLock()
	if l.closed || l.writer == nil {
		l.closing.RUnlock()
		return errBusy
	}
	select {
	case to <- m:
		l.closing.RUnlock()
	case <-ctx.Done():
		l.closing.RUnlock()
		return ctx.Err()
	}
	return <-m.done // what was handed in is done: the caller must know whether
}

// run is the writer: it takes what waits, events first, and commits it as one group.
func (l *liteDB) run() {
	defer close(l.stopped)
	group := make([]*member, 0, groupSize)
	for {
		group = group[:0]
		select { // events before bulk
		case m := <-l.events:
			group = append(group, m)
		default:
			select {
			case m := <-l.events:
				group = append(group, m)
			case m := <-l.bulk:
				group = append(group, m)
			case <-l.stop:
				return
			}
		}
	more:
		for len(group) < groupSize {
			select {
			case m := <-l.events:
				group = append(group, m)
			default:
				break more
			}
		}
		l.commit(group)
	}
}

// commit runs the members of a group in one transaction. A member that fails rolls back to its savepoint and nothing else.
func (l *liteDB) commit(group []*member) {
	ctx := context.Background()
	c := l.writer
	c.wrote = false
	errs := make([]error, len(group))
	_, err := c.exec(ctx, "BEGIN IMMEDIATE")
	for i := 0; err == nil && i < len(group); i++ {
		errs[i], err = l.member(ctx, group[i], len(group) == 1)
	}
	if err == nil && len(group) == 1 && errs[0] != nil {
		c.exec(ctx, "ROLLBACK") //nolint:errcheck // a full disk rolls back by itself
	} else if err == nil {
		_, err = c.exec(ctx, "COMMIT")
	}
	if err != nil {
		c.exec(ctx, "ROLLBACK") //nolint:errcheck // there may be no transaction any more; the error is told to all members
	}
	if c.wrote {
		l.changes.Add(1)
	}
	var wake []string
	for i, m := range group {
		if err != nil {
			errs[i] = errors.Join(errs[i], err)
		}
		if errs[i] == nil {
			wake = append(wake, m.wake...)
		}
		m.done <- errs[i]
	}
	if len(wake) > 0 {
		l.bus.Publish(wake...)
	}
}

// member runs one write. its error is its own; broken is one of the whole transaction. A member that is alone needs no
// savepoint: the transaction is its own.
func (l *liteDB) member(ctx context.Context, m *member, alone bool) (its, broken error) {
	if err := m.ctx.Err(); err != nil {
		return err, nil
	}
	c := l.writer
	if alone {
		t := &tx{ctx: ctx, q: c, now: time.Now().UnixMicro()}
		if its = guarded(m.do, t); its == nil {
			m.wake = t.wake
		}
		return its, nil
	}
	if _, err := c.exec(ctx, "SAVEPOINT member"); err != nil {
		return nil, err
	}
	t := &tx{ctx: ctx, q: c, now: time.Now().UnixMicro()}
	its = guarded(m.do, t)
	if its != nil {
		if _, err := c.exec(ctx, "ROLLBACK TO member"); err != nil {
			return its, err // a full disk rolls everything back by itself
		}
	} else {
		m.wake = t.wake
	}
	_, broken = c.exec(ctx, "RELEASE member")
	return its, broken
}

// guarded keeps a panic from ending the writer, on which all others wait.
func guarded(do func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v", p)
		}
	}()
	return do(t)
}

func (l *liteDB) ping(ctx context.Context) (string, error) {
	return "sqlite", l.read(ctx, func(t *tx) error {
		var one int
		return t.row("SELECT 1").Scan(&one)
	})
}

// checkpoint moves the log into the database and empties it. Most is moved while others write. Emptying keeps the writer
// out until the last reader of the log has gone, so it does not wait long for one: the sweep comes again.
func (l *liteDB) checkpoint(ctx context.Context) (clean bool, err error) {
	c := &liteConn{}
	if err := c.open(ctx, l.db); err != nil {
		return false, err
	}
	var busy, pages, moved int
	for _, pragma := range []string{"wal_checkpoint(PASSIVE)", "busy_timeout(200)", "wal_checkpoint(TRUNCATE)", "busy_timeout(5000)"} {
		row := c.conn.QueryRowContext(ctx, "PRAGMA "+pragma)
		if !strings.HasPrefix(pragma, "wal") {
			err = errors.Join(err, row.Scan(new(int)))
			continue
		}
		if e := liteFault(row.Scan(&busy, &pages, &moved)); errors.Is(e, errBusy) {
			busy = 1
		} else {
			err = errors.Join(err, e)
		}
	}
	return busy == 0 && err == nil, errors.Join(err, c.conn.Close())
}

// changed counts commits: nobody else writes, since this process holds the data directory.
func (l *liteDB) changed() (int64, bool) { return l.changes.Load(), true }

// changesDocuments tells statements that change what a list of documents shows.
func changesDocuments(query string) bool {
	for _, verb := range []string{"UPDATE document ", "INSERT INTO document ", "DELETE FROM document "} {
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
	<-l.stopped
	for { // what was handed in and not taken: nobody may wait forever
		select {
		case m := <-l.events:
			m.done <- errBusy
		case m := <-l.bulk:
			m.done <- errBusy
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
