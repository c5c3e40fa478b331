// Package storetest opens real stores for tests: SQLite always, PostgreSQL where a server is.
package storetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // opens the connection that makes and drops schemas

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
	"byline/internal/store"
)

// Postgres names the variable with the address of a server whose user may create schemas.
const Postgres = "TEST_POSTGRES_URL"

// template is a library with its schema and nothing else, made once a test binary: copying it is much cheaper than migrating.
var template = sync.OnceValues(func() (data []byte, err error) {
	dir, err := os.MkdirTemp("", "byline-template-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "byline.db")
	s, err := store.Open(context.Background(), store.Options{Path: path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// New opens an empty SQLite library that is closed with the test.
func New(t testing.TB) *store.Store {
	t.Helper()
	return At(t, filepath.Join(t.TempDir(), "byline.db"))
}

// At opens the SQLite library at path, an empty one if there is none.
func At(t testing.TB, path string) *store.Store {
	t.Helper()
	if _, err := os.Stat(path); os.IsNotExist(err) {
		data, err := template()
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return open(t, store.Options{Path: path})
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// Each runs a test on an empty store of each database.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, New(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, store.Options{DatabaseURL: Schema(t)})) })
}

// Schema gives the address of an empty PostgreSQL schema of the test's own. Without a server the test is skipped, or failed
// where TEST_REQUIRE names postgres.
func Schema(t testing.TB) string {
	t.Helper()
	address := os.Getenv(Postgres)
	if address == "" {
		if strings.Contains(os.Getenv("TEST_REQUIRE"), "postgres") {
			t.Fatalf("PostgreSQL is required and %s is not set", Postgres)
		}
		t.Skipf("no PostgreSQL: set %s to a server's address (scripts/postgres.sh starts one)", Postgres)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ToLower(ident.New())
	if _, err := db.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + name + " CASCADE"); err != nil {
			t.Errorf("drop schema: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Begin adds a draft to the local workspace with the run that is to write it, for tests of what carries runs.
func Begin(t testing.TB, s *store.Store) (draftID string, r runs.Run) {
	t.Helper()
	now := time.Now()
	d, r, err := s.Drafts().Add(t.Context(), draft.Draft{ID: ident.New(), Workspace: ident.Local, Title: "A title", Status: draft.Generating,
		CreatedAt: now, UpdatedAt: now}, draft.Wish{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.ID, r
}

// Session adds a session to a workspace, for tests of what follows its log.
func Session(t testing.TB, s *store.Store, ws ident.Workspace) (id string) {
	t.Helper()
	added, err := s.Sessions().Add(t.Context(), session.Session{Workspace: ws}, session.Settings{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return added.ID
}

// Tell writes an event to a session's log that has a text in its data.
func Tell(t testing.TB, s *store.Store, ws ident.Workspace, sessionID, text string) {
	t.Helper()
	if _, err := s.Sessions().Update(t.Context(), ws, sessionID, session.Patch{Name: &text}); err != nil {
		t.Fatal(err)
	}
}
