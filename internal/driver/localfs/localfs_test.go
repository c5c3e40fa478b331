package localfs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"byline/internal/driver/localfs"
	"byline/internal/fault"
	"byline/internal/ident"
)

func open(t *testing.T, dir string) *localfs.Store {
	t.Helper()
	s, err := localfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores a blob and gives its key.
func put(t *testing.T, s *localfs.Store, content string) string {
	t.Helper()
	b, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(b, content); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Discard(); err != nil { // after a commit it does nothing
		t.Fatal(err)
	}
	return b.Key()
}

func read(t *testing.T, s *localfs.Store, key string) (string, error) {
	t.Helper()
	f, err := s.Open(t.Context(), key)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), nil
}

func TestWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	key := put(t, s, "whole")
	if got, err := read(t, s, key); err != nil || got != "whole" {
		t.Errorf("%q %v", got, err)
	}
	half, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(half, "ha"); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, s, half.Key()); !errors.Is(err, fault.Missing("file")) {
		t.Errorf("a half is there: %v", err)
	}
	// The process is killed here; the next one finds the directory.
	next := open(t, dir)
	n, err := next.Sweep(t.Context(), func(string) (bool, error) { return true, nil })
	if err != nil || n != 1 {
		t.Errorf("swept %d: %v", n, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "staged", "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if got, err := read(t, next, key); err != nil || got != "whole" {
		t.Errorf("%q %v", got, err)
	}
}

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Discard(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDelete(t *testing.T) {
	s := open(t, t.TempDir())
	key := put(t, s, "x")
	for range 2 { // the second time nothing is there, which is no error
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := read(t, s, key); !errors.Is(err, fault.Missing("file")) {
		t.Errorf("%v", err)
	}
}

// A key is an id and nothing else: no path leads out of the directory.
func TestKeysAreNoPaths(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "data"))
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "x", "../secret", "../../secret", secret} {
		if _, err := s.Open(t.Context(), key); !errors.Is(err, fault.Missing("file")) {
			t.Errorf("open %q: %v", key, err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %q: %v", key, err)
		}
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error(err)
	}
}

// The sweep takes blobs that no document has, but not those whose row may be on its way.
func TestSweepTakesOldOrphansOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	known, young, old := put(t, s, "known"), put(t, s, "young"), put(t, s, "old")
	for _, key := range []string{known, old} {
		path := filepath.Join(dir, "blobs", key[len(key)-2:], key)
		if err := os.Chtimes(path, time.Now(), time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.Sweep(t.Context(), func(key string) (bool, error) { return key == known, nil })
	if err != nil || n != 1 {
		t.Errorf("removed %d: %v", n, err)
	}
	for key, want := range map[string]bool{known: true, young: true, old: false} {
		if _, err := read(t, s, key); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", key, err == nil, want)
		}
	}
	broken := errors.New("the store is away")
	if _, err := s.Sweep(t.Context(), func(string) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("without an answer it must not remove: %v", err)
	}
}

// In a directory of several servers, the start of one leaves alone what another is receiving.
func TestSweepOfASharedDirectory(t *testing.T) {
	dir := t.TempDir()
	s, err := localfs.OpenShared(dir)
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "staged", old.Key()), ago, ago); err != nil {
		t.Fatal(err)
	}
	underWay, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), func(string) (bool, error) { return true, nil }); err != nil || n != 1 {
		t.Errorf("swept %d: %v", n, err)
	}
	if _, err := io.WriteString(underWay, "whole"); err != nil {
		t.Fatal(err)
	}
	if err := underWay.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, s, underWay.Key()); err != nil || got != "whole" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "staged", old.Key())); err == nil {
		t.Error("what was staged two hours ago is there")
	}
}

func TestDirectoryThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localfs.OpenShared(filepath.Join(file, "data")); err == nil {
		t.Error("opened below a file")
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	key := put(t, s, "x")
	info, err := os.Stat(filepath.Join(dir, "blobs", key[len(key)-2:], key))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if !ident.Valid(key) {
		t.Errorf("key %q", key)
	}
}
