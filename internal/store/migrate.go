package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"byline/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, or, of a library that is only looked at, asks for it to be.
func migrate(ctx context.Context, db *sql.DB, postgres, look bool) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	kind := goose.DialectSQLite3
	if postgres {
		kind = goose.DialectPostgres
	}
	p, err := goose.NewProvider(kind, db, files, goose.WithVerbose(false), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	switch {
	case have > want:
		return fault.New(fault.Conflict, "schema_too_new",
			"This library was written by a newer Byline: its schema has version %d, this program knows %d. Use the newer program; nothing was changed.", have, want)
	case have == want:
		return nil
	case look:
		return fault.New(fault.Conflict, "schema_old", "This library has schema version %d and this program needs %d. Start `byline serve` once, which brings it up to date.", have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", have, want, err)
	}
	return nil
}
