package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"byline/internal/fault"
	"byline/internal/runs"
)

// pgDB is PostgreSQL: a pool, and a connection of its own for wake-ups.
type pgDB struct {
	pool *pgxpool.Pool
	db   *sql.DB
	bus  *pgBus

	recent *recent
}

// idleInTransaction is after how long PostgreSQL ends a transaction whose process stands still (it is paused, or its machine is gone), in ms: less than
// a lease holds, so that its locks keep nobody from taking its runs over. Ours never think that long between two statements.
const idleInTransaction = "6000"

func (s *Store) openPostgres(ctx context.Context, o Options) error {
	cfg, err := pgxpool.ParseConfig(o.DatabaseURL)
	if err != nil {
		return fmt.Errorf("read DATABASE_URL: %w", err)
	}
	cfg.MaxConns = max(cfg.MaxConns, 8)
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = idleInTransaction
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("open PostgreSQL: %w", err)
	}
	p := &pgDB{pool: pool, db: stdlib.OpenDBFromPool(pool), recent: &s.recent}
	if err = p.db.PingContext(ctx); err != nil {
		err = fault.New(fault.Unavailable, "store_unavailable", "PostgreSQL at %s does not answer. Start it, or correct DATABASE_URL.",
			net.JoinHostPort(cfg.ConnConfig.Host, strconv.Itoa(int(cfg.ConnConfig.Port)))).Because(err)
	} else {
		err = migrate(ctx, p.db, true, o.ReadOnly)
	}
	if err != nil {
		err = errors.Join(err, p.db.Close())
		pool.Close()
		return err
	}
	p.bus = newPGBus(pool, o.Log)
	s.backend, s.bus = p, p.bus
	return nil
}

type pgTx struct{ *sql.Tx }

func (q pgTx) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r, err := q.ExecContext(ctx, rebind(query), args...)
	return r, pgFault(err)
}

func (q pgTx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := q.QueryContext(ctx, rebind(query), args...)
	return rows, pgFault(err)
}

func (p *pgDB) read(ctx context.Context, do func(*tx) error) error {
	begun := false
	return p.try(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(t *tx) error {
		begun = true
		return do(t)
	}, func() bool { return !begun }) // what do collected would be there twice
}

func (p *pgDB) peek(ctx context.Context, do func(*tx) error) error { return p.read(ctx, do) }

func (p *pgDB) write(ctx context.Context, _ lane, do func(*tx) error) error {
	return p.try(ctx, nil, do, func() bool { return true })
}

func (p *pgDB) writeAll(l lane, n int, do func(i int) (context.Context, func(*tx) error), done func(i int, err error)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			ctx, do := do(i)
			done(i, p.write(ctx, l, do))
		})
	}
	all.Wait()
}

// retries of a transaction that was rolled back only because of others, or of its connection.
const retries = 5

func (p *pgDB) try(ctx context.Context, o *sql.TxOptions, do func(*tx) error, may func() bool) error {
	for i := 0; ; i++ {
		undone, err := p.in(ctx, o, do)
		if err == nil || !undone || i == retries || !may() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(1<<i) * 5 * time.Millisecond):
		}
	}
}

// in runs do in one transaction. undone tells that nothing of it is there and that it may go better another time. Of a
// connection that breaks at the commit nobody knows: that is not undone, and told as it is.
func (p *pgDB) in(ctx context.Context, o *sql.TxOptions, do func(*tx) error) (undone bool, err error) {
	sqlTx, err := p.db.BeginTx(ctx, o)
	if err != nil {
		return isBroken(err), pgFault(err)
	}
	defer sqlTx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	t := &tx{pg: true, ctx: ctx, q: pgTx{sqlTx}, now: time.Now().UnixMicro(), recent: p.recent}
	if err := do(t); err != nil {
		return isRepeatable(err) || isBroken(err), err
	}
	if err := sqlTx.Commit(); err != nil {
		return isRepeatable(err), pgFault(err)
	}
	p.recent.add(t.new)
	if len(t.wake) > 0 {
		p.bus.Publish(t.wake...)
	}
	return false, nil
}

// isRepeatable tells a serialization failure, a deadlock, or a transaction that was ended because we stood still.
func isRepeatable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01" || e.Code == "25P03")
}

// isBroken tells that the connection is gone: the server stops, ended it, or the network did.
func isBroken(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "57P") || strings.HasPrefix(e.Code, "08")
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[*net.OpError](err)
	return connecting || network || pgconn.SafeToRetry(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "conn closed")
}

// pgFault names the errors of PostgreSQL that people can do something about.
func pgFault(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && e.Code == "53100":
		return errFull.Because(err)
	case ok && strings.HasPrefix(e.Code, "53"), isRepeatable(err), isBroken(err):
		return errBusy.Because(err)
	}
	return err
}

func (p *pgDB) ping(ctx context.Context) (string, error) {
	return "postgres", pgFault(p.db.PingContext(ctx))
}

// noSpace is not known of a database on another machine: each write that finds none says so.
func (p *pgDB) noSpace() bool { return false }

// checkpoint: PostgreSQL overwrites what was deleted in its own time (VACUUM); there is nothing to wait for.
func (p *pgDB) checkpoint(context.Context) (bool, error) { return true, nil }

// changed knows nothing: other replicas write, too.
func (p *pgDB) changed() (int64, bool) { return 0, false }

func (p *pgDB) indexChanged() (int64, bool) { return 0, false }

func (p *pgDB) files() []string { return nil }

func (p *pgDB) postgres() bool { return true }

func (p *pgDB) close() error {
	p.bus.close()
	err := p.db.Close()
	p.pool.Close()
	return err
}

// pgBus is the bus of several replicas: NOTIFY after the commit, with the ids of runs and sessions and nothing else, at most once in a
// window; LISTEN on a connection of its own. It is lossy as every bus is: while the connection is down, readers look by
// themselves once a second.
type pgBus struct {
	local *runs.LocalBus // hears of this process' own commits at once, and of others' by LISTEN
	pool  *pgxpool.Pool
	log   *slog.Logger
	live  *liveBus
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu      sync.Mutex
	pending map[string]bool
	kick    chan struct{}
}

const (
	channel      = "byline_runs"
	notifyWindow = 20 * time.Millisecond
	sayTime      = time.Second // for all that members say at once
	notifyMost   = 220         // ids in one message: it has 8,000 bytes at most, the topic of a session 35
)

func newPGBus(pool *pgxpool.Pool, log *slog.Logger) *pgBus {
	ctx, stop := context.WithCancel(context.Background())
	b := &pgBus{local: runs.NewBus(), pool: pool, log: log, stop: stop, pending: map[string]bool{}, kick: make(chan struct{}, 1)}
	b.live = &liveBus{kick: b.ring, hears: map[int]func([]byte){}}
	b.done.Go(func() { b.listen(ctx) })
	b.done.Go(func() { b.notify(ctx) })
	return b
}

func (b *pgBus) close() {
	b.stop()
	b.done.Wait()
	b.say() // that all who were here have gone
}

// Publish wakes this process at once and the others within the window.
func (b *pgBus) Publish(topics ...string) {
	b.local.Publish(topics...)
	b.mu.Lock()
	for _, id := range topics {
		b.pending[id] = true
	}
	b.mu.Unlock()
	b.ring()
}

// ring lets notify look.
func (b *pgBus) ring() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// Subscribe hears of all replicas' commits.
func (b *pgBus) Subscribe(wake func(topics []string)) (cancel func()) { return b.local.Subscribe(wake) }

func (b *pgBus) notify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.kick:
		}
		for ids := b.take(); len(ids) > 0; ids = b.take() {
			if _, err := b.pool.Exec(ctx, "SELECT pg_notify($1, $2)", channel, strings.Join(ids, " ")); err != nil && ctx.Err() == nil {
				b.log.Warn("notify other replicas; they look by themselves", "error", err)
				break
			}
		}
		b.say()
		select {
		case <-ctx.Done():
			return
		case <-time.After(notifyWindow):
		}
	}
}

// say sends what members of rooms tell those on other replicas. It is not broken off by a stop: what was taken would be lost.
func (b *pgBus) say() {
	ctx, cancel := context.WithTimeout(context.Background(), sayTime)
	defer cancel()
	for words := b.live.take(); words != ""; words = b.live.take() {
		if _, err := b.pool.Exec(ctx, "SELECT pg_notify($1, $2)", liveChannel, words); err != nil {
			b.log.Warn("tell other replicas who is there; they ask again", "error", err)
			return
		}
	}
}

func (b *pgBus) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id := range b.pending {
		if len(ids) == notifyMost {
			break
		}
		ids = append(ids, id)
		delete(b.pending, id)
	}
	return ids
}

func (b *pgBus) listen(ctx context.Context) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		began := time.Now()
		err := b.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		b.log.Warn("listen for other replicas; looking once a second until it is back", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (b *pgBus) hear(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it is given up anyway
	if _, err := conn.Exec(ctx, "LISTEN "+channel+"; LISTEN "+liveChannel); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Channel == liveChannel {
			b.live.hear(n.Payload)
			continue
		}
		b.local.Publish(strings.Fields(n.Payload)...)
	}
}
