package store

import (
	"context"
	"fmt"
	"slices"
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
		_, err := t.exec(query)
		return err
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
