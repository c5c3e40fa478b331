package store_test

import (
	"path/filepath"
	"sync"
	"testing"

	"byline/internal/store"
)

// One reader after the other uses one connection, whose pages and statements are in memory then; more at a time use more.
func TestReadersUseWhatIsWarm(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func() {
		if _, err := s.Vectors(t.Context(), "space", []string{"one"}); err != nil {
			t.Error(err)
		}
	}
	for range 50 {
		read()
	}
	if n := s.OpenReaders(); n != 1 {
		t.Errorf("reads one after the other opened %d connections", n)
	}
	var all sync.WaitGroup
	for range 20 { // more than there are connections: some wait
		all.Go(func() {
			for range 20 {
				read()
			}
		})
	}
	all.Wait()
	if n := s.OpenReaders(); n < 1 || n > 64 {
		t.Errorf("%d connections", n)
	}
}
