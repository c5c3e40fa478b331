package store

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"byline/internal/ident"
	"byline/internal/runs"
)

// What only tests need from inside.
var (
	PackWords   = packWords
	UnpackWords = unpackWords
	Find        = find
)

// Damage changes rows behind everybody's back.
func (s *Store) Damage(ctx context.Context, query string) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.shelveAll(); err != nil {
			return err
		}
		_, err := t.exec(query)
		return err
	})
}

// PlanOfBurying is how SQLite hides a document in its segments.
func (s *Store) PlanOfBurying(ctx context.Context) (steps []string, err error) {
	return readAll(ctx, s, func(s scanner) (step string, err error) {
		var id, parent, unused int
		return step, s.Scan(&id, &parent, &unused, &step)
	}, `EXPLAIN QUERY PLAN `+buried, ident.New())
}

// TakenIn is how many rows the intake has.
func (s *Store) TakenIn(ctx context.Context) (n int, err error) {
	err = s.read(ctx, func(t *tx) error { return t.row(`SELECT COUNT(*) FROM run_intake`).Scan(&n) })
	return n, err
}

// Shrunk tells whether the writer and a reader have ever given their caches back.
func (s *Store) Shrunk(ctx context.Context) (writer, reader bool, err error) {
	asked := func(yes *bool) func(*tx) error {
		return func(t *tx) error {
			_, *yes = t.q.(*liteConn).stmts["PRAGMA shrink_memory"]
			return nil
		}
	}
	if err = s.write(ctx, laneEvents, asked(&writer)); err == nil {
		err = s.read(ctx, asked(&reader))
	}
	return writer, reader, err
}

// Create adds a run with a subject that is not there, for what any run can do.
func (s *Store) Create(ctx context.Context, n runs.NewRun) (r runs.Run, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		r, err = t.createRun(ident.Local, n)
		return err
	})
	return r, err
}

// Forget makes the next reads ask the database.
func (s *Store) Forget() { s.recent.forget() }

// Write changes something in the lane of events and ends as end says.
func (s *Store) Write(ctx context.Context, query string, end func() error) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if _, err := t.exec(query); err != nil {
			return err
		}
		return end()
	})
}

// Together holds SQLite's writer until n writes of the lane of events wait behind it, so that they share a commit. It says
// when they may come.
func (s *Store) Together(ctx context.Context, n int, come func()) error {
	l := s.backend.(*liteDB)
	return s.write(ctx, laneBulk, func(*tx) error {
		come()
		for len(l.events) < n && ctx.Err() == nil {
			runtime.Gosched()
		}
		return ctx.Err()
	})
}

// Dump gives every row of every table, sorted, so that two states can be compared.
func (s *Store) Dump(ctx context.Context) (lines []string, err error) {
	v := verifier{store: s}
	columns, err := v.columns(ctx)
	if err != nil {
		return nil, err
	}
	tables := map[string]bool{}
	for _, c := range columns {
		tables[c.table] = true
	}
	err = s.read(ctx, func(t *tx) error {
		for table := range tables {
			rows, err := t.query(`SELECT * FROM ` + table)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				names, err := rows.Columns()
				if err != nil {
					return err
				}
				values := make([]any, len(names))
				for i := range values {
					values[i] = new(any)
				}
				if err := rows.Scan(values...); err != nil {
					return err
				}
				line := table
				for _, v := range values {
					line += fmt.Sprintf(" %v", *v.(*any))
				}
				lines = append(lines, line)
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Sort(lines)
	return lines, err
}

// Hold keeps a snapshot open while f runs.
func (s *Store) Hold(ctx context.Context, f func()) error {
	return s.read(ctx, func(t *tx) error {
		_, err := t.exists(`SELECT 1 FROM workspace`)
		f()
		return err
	})
}

// OpenReaders tells how many connections of SQLite have been opened to read with.
func (s *Store) OpenReaders() (n int) {
	r := s.backend.(*liteDB).readers
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.idle {
		if c.conn != nil {
			n++
		}
	}
	return n
}
