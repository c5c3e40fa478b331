package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// contains looks for texts in every column, and where the database is a file, in that file and its log as they are on disk.
// The columns find what the file has in two pieces; the file finds what no column has any more.
func (v *verifier) contains(ctx context.Context, texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	columns, err := v.columns(ctx)
	if err != nil {
		return err
	}
	for _, text := range texts {
		for _, form := range forms(text) {
			if err := v.searchColumns(ctx, columns, text, form); err != nil {
				return err
			}
			for _, path := range v.store.files() {
				if err := v.searchFile(ctx, path, text, form); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// forms are a text as it may stand in rows: as it is, and as JSON writes it.
func forms(text string) []string {
	if text == "" {
		return nil
	}
	list := []string{text}
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string into memory
	for _, quoted := range []string{encodeItem(text), strings.TrimSuffix(plain.String(), "\n")} {
		if form := quoted[1 : len(quoted)-1]; form != list[len(list)-1] && form != text {
			list = append(list, form)
		}
	}
	return list
}

type column struct{ table, name, kind string }

func scanColumn(row scanner) (c column, err error) {
	err = row.Scan(&c.table, &c.name, &c.kind)
	return c, err
}

// columns lists those that can hold text.
func (v *verifier) columns(ctx context.Context) ([]column, error) {
	if v.store.postgres() {
		return readAll(ctx, v.store, scanColumn, `SELECT table_name, column_name, data_type FROM information_schema.columns
			WHERE table_schema = current_schema() AND data_type IN ('text', 'character varying', 'bytea') ORDER BY 1, 2`)
	}
	return readAll(ctx, v.store, scanColumn, `SELECT m.name, c.name, lower(c.type) FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND lower(c.type) IN ('text', 'bytea') ORDER BY 1, 2`)
}

func (v *verifier) searchColumns(ctx context.Context, columns []column, text, form string) error {
	for _, c := range columns {
		name := `"` + c.name + `"`
		cond := `instr(CAST(` + name + ` AS BLOB), CAST(? AS BLOB)) > 0`
		if v.store.postgres() {
			cond = `strpos(` + name + `, CAST(? AS TEXT)) > 0`
			if c.kind == "bytea" {
				cond = `position(convert_to(CAST(? AS TEXT), 'UTF8') in ` + name + `) > 0`
			}
		}
		n, err := readAll(ctx, v.store, scanInt, `SELECT COUNT(*) FROM "`+c.table+`" WHERE `+cond, form)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", c.table, c.name, err)
		}
		if n[0] > 0 {
			v.report.add("contains", c.table+"."+c.name, "%q is in %d rows", text, n[0])
		}
	}
	return nil
}

func (v *verifier) searchFile(ctx context.Context, path, text, form string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	at, err := find(ctx, f, []byte(form))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if at >= 0 {
		v.report.add("contains", f.Name(), "%q is at byte %d", text, at)
	}
	return nil
}

// find gives the first place of a text in a stream, -1 for none.
func find(ctx context.Context, r io.Reader, text []byte) (int64, error) {
	buf := make([]byte, 0, 1<<20+len(text))
	for base := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return -1, err
		}
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if i := bytes.Index(buf, text); i >= 0 {
			return base + int64(i), nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		keep := min(len(buf), len(text)-1) // a match may begin here and end in what follows
		base += int64(len(buf) - keep)
		buf = append(buf[:0], buf[len(buf)-keep:]...)
	}
}
