package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// where collects conditions and their arguments.
type where struct {
	sql  strings.Builder
	args []any
}

func (w *where) and(cond string, args ...any) {
	if w.sql.Len() > 0 {
		w.sql.WriteString(" AND ")
	}
	w.sql.WriteString(cond)
	w.args = append(w.args, args...)
}

// among asks for a column to have one of the values; none do not filter.
func among[S ~string](w *where, column string, values []S) {
	if len(values) > 0 {
		w.and(column+` IN (`+marks(len(values))+`)`, args(values)...)
	}
}

// contains is true where the column holds the text of its one argument, byte for byte: both dialects agree on REPLACE,
// while they do not on LIKE. The argument must not be empty.
func contains(column string) string { return `REPLACE(` + column + `, ?, '') <> ` + column }

// marks gives n placeholders.
func marks(n int) string {
	if n == 0 {
		return ""
	}
	return strings.Repeat("?, ", n-1) + "?"
}

// args is a list of values after others, as arguments.
func args[S ~string](values []S, first ...any) []any {
	list := make([]any, 0, len(first)+len(values))
	list = append(list, first...)
	for _, v := range values {
		list = append(list, v)
	}
	return list
}

// eachPart hands on a long list in parts that one statement takes.
func eachPart[T any](list []T, f func(part []T) error) error {
	for part := range slices.Chunk(list, 200) {
		if err := f(part); err != nil {
			return err
		}
	}
	return nil
}

// each scans the rows of a query one by one.
func each[T any](t *tx, scan func(scanner) (T, error), f func(T), query string, args ...any) error {
	rows, err := t.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return err
		}
		f(v)
	}
	return rows.Err()
}

// all is each, collected.
func all[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) (list []T, err error) {
	err = each(t, scan, func(v T) { list = append(list, v) }, query, args...)
	return list, err
}

// number is an integer to scan into without reflection, which is what lists of hundreds of rows spend their time on. So
// are strings whose types have names, by their pointers: (*string)(&d.Status).
type number int64

// Scan meets sql.Scanner.
func (n *number) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("%T is no number", src)
	}
	*n = number(v)
	return nil
}

func scanString(row scanner) (s string, err error) {
	err = row.Scan(&s)
	return s, err
}

// exists tells whether a query has a row.
func (t *tx) exists(query string, args ...any) (bool, error) {
	var one int
	err := t.row(query, args...).Scan(&one)
	if isNoRows(err) {
		return false, nil
	}
	return err == nil, err
}

// insert writes rows with as few statements as the number of arguments allows. head ends before VALUES, tail follows them.
func (t *tx) insert(head string, rows [][]any, tail string) error {
	if len(rows) == 0 {
		return nil
	}
	const maxArgs = 1000
	one := "(" + marks(len(rows[0])) + ")"
	for part := range slices.Chunk(rows, max(1, maxArgs/len(rows[0]))) {
		list := make([]any, 0, len(part)*len(rows[0]))
		for _, r := range part {
			list = append(list, r...)
		}
		if _, err := t.exec(head+" VALUES "+one+strings.Repeat(", "+one, len(part)-1)+" "+tail, list...); err != nil {
			return err
		}
	}
	return nil
}

// pageOf is a list that is read in pages, newest first: ids are ULIDs, so the order of ids is that of making.
type pageOf[T any] struct {
	columns, from, id string
	where             where
	cursor            string // id of the last row of the page before
	limit             int
	scan              func(scanner) (T, error)
}

// page reads one page and counts all that the filter admits. A first page that is not full has the count for nothing.
func page[T any](t *tx, p pageOf[T]) (list []T, total int, err error) {
	cond, list0 := p.where.sql.String(), p.where.args
	list1 := slices.Clone(list0)
	query := `SELECT ` + p.columns + ` FROM ` + p.from + ` WHERE ` + cond
	if p.cursor != "" {
		query += ` AND ` + p.id + ` < ?`
		list1 = append(list1, p.cursor)
	}
	limit := max(p.limit, 1)
	list = make([]T, 0, min(limit+1, 256))
	err = each(t, p.scan, func(v T) { list = append(list, v) }, query+` ORDER BY `+p.id+` DESC LIMIT ?`, append(list1, limit+1)...)
	if err != nil {
		return nil, 0, err
	}
	if len(list) <= limit && p.cursor == "" {
		return list, len(list), nil
	}
	if len(list) > limit {
		list = list[:limit]
	}
	err = t.row(`SELECT COUNT(*) FROM `+p.from+` WHERE `+cond, list0...).Scan(&total)
	return list, total, err
}

// encodeList is how a list of strings stands in a column; nil and empty are one.
func encodeList(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(list) // strings always marshal
	return string(b)
}

// encodeItem is how one string stands in such a list.
func encodeItem(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// decodeList never gives nil, so that it is a list on the wire too.
func decodeList(s string) []string {
	list := []string{}
	if s != "[]" && s != "" {
		_ = json.Unmarshal([]byte(s), &list) // written by encodeList; a damaged one is for Verify
	}
	return list
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
