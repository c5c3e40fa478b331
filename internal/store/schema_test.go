package store_test

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/fault"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

var update = flag.Bool("update", false, "write the schema snapshots anew")

func openSQL(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// column runs a query of one text column.
func column(t *testing.T, db *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// The snapshots show what the migrations make of each database, as the database itself tells it. goose's own table is left out.
func TestGeneratedSchemaSnapshots(t *testing.T) {
	for name, dump := range map[string]func(*testing.T) string{"sqlite": dumpSQLite, "postgres": dumpPostgres} {
		t.Run(name, func(t *testing.T) {
			got := dump(t)
			path := filepath.Join("schema", name+".sql")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s is not what the migrations make (make generate writes it):\n%s", path, diff)
			}
		})
	}
}

func dumpSQLite(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "byline.db")
	storetest.At(t, path)
	db := openSQL(t, "sqlite", path)
	return strings.Join(column(t, db, `SELECT sql FROM sqlite_master WHERE sql <> '' AND tbl_name NOT LIKE 'goose%' AND tbl_name NOT LIKE 'sqlite%'
		ORDER BY tbl_name, type DESC, name`), ";\n\n") + ";\n"
}

func dumpPostgres(t *testing.T) string {
	url := storetest.Schema(t)
	s, err := store.Open(t.Context(), store.Options{DatabaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := openSQL(t, "pgx", url)
	var b strings.Builder
	for _, table := range column(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name NOT LIKE 'goose%'
		ORDER BY table_name`) {
		parts := column(t, db, `SELECT quote_ident(column_name) || ' ' || data_type || CASE WHEN column_default IS NULL THEN '' ELSE ' DEFAULT ' || column_default END
			|| CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END
			FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`, table)
		parts = append(parts, column(t, db, `SELECT 'CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE conrelid = to_regclass($1) AND contype <> 'n' ORDER BY conname`, table)...)
		fmt.Fprintf(&b, "CREATE TABLE %s (\n    %s\n);\n", table, strings.Join(parts, ",\n    "))
		for _, index := range column(t, db, `SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = $1
			AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname AND connamespace = to_regnamespace(current_schema()))
			ORDER BY indexname`, table) {
			fmt.Fprintf(&b, "%s;\n", index)
		}
		b.WriteByte('\n')
	}
	ofSchema := regexp.MustCompile(`\bt[0-9a-z]{26}\.`) // each test has its own
	return strings.TrimSuffix(ofSchema.ReplaceAllString(b.String(), ""), "\n")
}

// A library of a newer program is refused with both versions and left as it is; so is, by a program that only looks, an older one.
// newestMigration is its number.
func newestMigration(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("migrations/*.sql") // sorted
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	number, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	return strings.TrimLeft(number, "0") + "."
}

func TestSchemaOfAnotherVersion(t *testing.T) {
	for _, driver := range []string{"sqlite", "pgx"} {
		t.Run(driver, func(t *testing.T) {
			o := store.Options{Path: filepath.Join(t.TempDir(), "byline.db")}
			dsn := o.Path
			if driver == "pgx" {
				dsn = storetest.Schema(t)
				o = store.Options{DatabaseURL: dsn}
			}
			open := func(o store.Options) error {
				s, err := store.Open(t.Context(), o)
				if err != nil {
					return err
				}
				return s.Close()
			}
			if err := open(o); err != nil {
				t.Fatal(err)
			}
			if err := open(o); err != nil {
				t.Fatalf("of its own version: %v", err)
			}
			db := openSQL(t, driver, dsn)
			exec := func(query string) {
				t.Helper()
				if _, err := db.Exec(query); err != nil {
					t.Fatal(err)
				}
			}
			exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, ` + map[string]string{"sqlite": "1", "pgx": "true"}[driver] + `)`)
			err := open(o)
			if f := fault.Of(err); f == nil || f.Code != "schema_too_new" || !strings.Contains(f.Say, "version 99") || !strings.Contains(f.Say, "knows "+newestMigration(t)) {
				t.Errorf("newer: %v", err)
			}
			exec(`DELETE FROM goose_db_version WHERE version_id > 0`)
			look := o
			look.ReadOnly = true
			if f := fault.Of(open(look)); f == nil || f.Code != "schema_old" {
				t.Errorf("older, to look at: %v", f)
			}
		})
	}
}
