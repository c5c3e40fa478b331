package summarize_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"byline/internal/engine/summarize"
)

func TestDump(t *testing.T) {
	glob := os.Getenv("DUMP")
	if glob == "" {
		t.Skip()
	}
	files, _ := filepath.Glob(glob)
	var src []summarize.Source
	for _, f := range files {
		b, _ := os.ReadFile(f)
		src = append(src, source(t, filepath.Base(f), string(b)))
	}
	var w summarize.Wish
	if o := os.Getenv("OUTLINE"); o != "" {
		w.Outline = strings.Split(o, ",")
	}
	if o := os.Getenv("TOPICS"); o != "" {
		w.Topics = strings.Split(o, ",")
	}
	if os.Getenv("WORDS") == "300" {
		w.Words = 300
	}
	t.Log("\n" + write(t, summarize.Read(src), w))
}
