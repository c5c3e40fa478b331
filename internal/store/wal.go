package store

import (
	"context"
	"errors"
	"strings"
	"time"
)

// The log of SQLite (its WAL), in pages of 4 KiB. Logs of runs change the same pages with nearly every commit, so what is moved into the
// database seldom is moved once. But who moves 32 MiB in the midst of a commit holds up all that wait behind it. So moving is the
// work of a goroutine of its own, while others write: from walFrom on, whenever walStep pages have come. SQLite begins a log anew when all of
// it is moved and nobody writes meanwhile; only the writer can see to that, so from walEnd on it moves the little that is left behind a commit.
const (
	walFrom = 4000
	walStep = 200
	walEnd  = 6000
	walLook = 50 * time.Millisecond
)

// moveLog moves the log until the store closes. What fails here is done later, at the latest by the writer.
func (l *liteDB) moveLog() {
	c := &liteConn{}
	ctx := context.Background()
	if err := c.open(ctx, l.db); err != nil {
		return
	}
	defer c.conn.Close() //nolint:errcheck // the database is closed next
	for {
		select {
		case <-l.committed:
		case <-l.stop:
			return
		}
		var busy, pages, moved int
		if err := c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages, &moved); err == nil && pages >= walFrom && pages-moved >= walStep {
			_, _ = c.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		}
		select {
		case <-time.After(walLook):
		case <-l.stop:
			return
		}
	}
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
