package sandbox_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"byline/internal/engine/extract"
	"byline/internal/engine/pdf/pdftest"
	"byline/internal/engine/sandbox"
	"byline/internal/fault"
)

func converse(t *testing.T, cache string) *sandbox.Conversation {
	t.Helper()
	v, err := sandbox.Converse(sandbox.Options{CacheDir: cache, Limits: sandbox.Limits{Memory: 256 << 20, Pages: 10}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestChildAnswers(t *testing.T) {
	v := converse(t, pdftest.Warm(t))
	if _, err := v.Ask("warm", "", nil, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	f := write(t, kites(4).Bytes())
	var c extract.Collector
	if _, err := v.Ask("extract", "pdf", f, 0, 0, &c); err != nil || !strings.Contains(c.Text().Content, "This is page 4") {
		t.Errorf("%v: %+v", err, c.Text())
	}
	img, err := v.Ask("render", "", f, 2, 36, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(img)); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct{ verb, format, want string }{
		"other format":  {"extract", "docx", "unsupported_type"},
		"no such page":  {"render", "", "page_not_found"},
		"unknown verb":  {"dance", "", "internal"},
		"too many":      {"extract", "pdf", "too_many_pages"},
		"no descriptor": {"extract", "pdf", "internal"},
	} {
		f := f
		switch name {
		case "no descriptor":
			f = nil
		case "too many":
			f = write(t, kites(11).Bytes())
		}
		if _, err := v.Ask(tt.verb, tt.format, f, 0, 72, &extract.Collector{}); fault.Of(err).Code != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := v.HangUp(); err != nil {
		t.Error(err)
	}
}

func TestChildEnds(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown frame": {1, 0, 0, 0, 'z'},
		"bad request":   {2, 0, 0, 0, 'q', '{'},
		"too long":      {0, 0, 0, 0xff, 'q'},
	} {
		v := converse(t, pdftest.Warm(t))
		if err := v.Say(b); err != nil {
			t.Error(err)
		}
		if err := v.HangUp(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestParentLeaves: a child whose parent is gone does not read on.
func TestParentLeaves(t *testing.T) {
	v := converse(t, pdftest.Warm(t))
	frame, err := sandbox.JSONFrame('q', map[string]any{"verb": "warm"})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Say(frame); err != nil {
		t.Fatal(err)
	}
	if err := v.HangUpRudely(); err == nil {
		t.Error("the child noticed nothing")
	}
}

func TestNoCache(t *testing.T) {
	v := converse(t, "/dev/null/no/directory")
	if _, err := v.Ask("warm", "", nil, 0, 0, nil); err == nil {
		t.Error("warmed without a cache")
	}
	if err := v.HangUp(); err != nil {
		t.Error(err)
	}
}
