package sandbox_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/engine/html"
	"byline/internal/engine/sandbox"
	"byline/internal/fault"
)

// Pages of HTML are read in the child too, which loads nothing for them.
func TestPagesAreReadInTheChild(t *testing.T) {
	p := sandbox.New(sandbox.Options{Command: []string{os.Args[0], sandbox.Subcommand}, Limits: sandbox.Limits{Stall: time.Minute}})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	var c extract.Collector
	long := "<p>" + strings.Repeat("A sentence of some words. ", 20) + "</p>"
	page := "<title>Mills</title><meta name=author content=Ada><h1>Mills</h1>" + strings.Repeat(long, 1200)
	if err := p.Extract(t.Context(), string(extract.HTML), write(t, []byte(page)), &c); err != nil {
		t.Fatal(err)
	}
	x := c.Text()
	var direct extract.Collector
	if err := html.Extract([]byte(page), &direct); err != nil {
		t.Fatal(err)
	}
	if x.Content != direct.Text().Content || x.Title != "Mills" || x.Author != "Ada" || len(x.Elements) != len(direct.Text().Elements) || len(x.Pages) != 0 {
		t.Errorf("the child gives %d bytes, %d elements, %+v", len(x.Content), len(x.Elements), x.Info)
	}
	for name, tt := range map[string]struct{ page, code string }{"empty": {"", "empty_file"}, "deep": {strings.Repeat("<div>", 5000), "bad_html"}, "large": {strings.Repeat(" ", html.MaxSize+100), "page_too_large"}} {
		if err := p.Extract(t.Context(), string(extract.HTML), write(t, []byte(tt.page)), &extract.Collector{}); err == nil || fault.Of(err).Code != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same child reads the next page.
	if err := p.Extract(t.Context(), string(extract.HTML), write(t, []byte("<p>Again")), &extract.Collector{}); err != nil {
		t.Error(err)
	}
}
