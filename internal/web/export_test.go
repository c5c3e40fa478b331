package web

import (
	"io/fs"
	"testing"
)

// Build makes a site from other files than the embedded ones.
var Build = build

// Pages gives our own embedded files, by name.
func Pages(t *testing.T) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	entries, err := fs.ReadDir(files, "page")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pages[e.Name()], err = fs.ReadFile(files, "page/"+e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return pages
}
