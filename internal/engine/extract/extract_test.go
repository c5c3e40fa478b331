package extract_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/extract"
)

func TestCollectorShiftsParts(t *testing.T) {
	var c extract.Collector
	if err := c.Begin(extract.Info{Title: "T", Pages: 2}); err != nil {
		t.Fatal(err)
	}
	first := extract.Part{
		Text: "One\nTwo\nabc\n\n",
		Elements: []extract.Element{
			{Kind: extract.Heading, Level: 1, Start: 0, End: 3, Page: 1},
			{Kind: extract.Heading, Level: 2, Start: 4, End: 7, Page: 1},
			{Kind: extract.Paragraph, Start: 8, End: 11, Page: 1},
		},
		Page: &extract.Page{Number: 1, Words: []extract.Word{{Start: 8, End: 11}}},
	}
	second := extract.Part{
		Text: "def\nTri\nghi\n\n",
		Elements: []extract.Element{
			{Kind: extract.Paragraph, Start: 0, End: 3, Page: 2},
			{Kind: extract.Heading, Level: 2, Start: 4, End: 7, Page: 2},
			{Kind: extract.Paragraph, Start: 8, End: 11, Page: 2},
		},
		Page: &extract.Page{Number: 2, Words: []extract.Word{{Start: 0, End: 3}}},
	}
	for _, p := range []extract.Part{first, second} {
		if err := c.Part(p); err != nil {
			t.Fatal(err)
		}
	}
	if first.Elements[2].HeadingPath != nil || second.Page.Words[0].Start != 0 {
		t.Error("a part was changed")
	}
	want := extract.Text{
		Info:    extract.Info{Title: "T", Pages: 2},
		Content: "One\nTwo\nabc\n\ndef\nTri\nghi\n\n",
		Elements: []extract.Element{
			{Kind: extract.Heading, Level: 1, Start: 0, End: 3, Page: 1},
			{Kind: extract.Heading, Level: 2, Start: 4, End: 7, Page: 1, HeadingPath: []string{"One"}},
			{Kind: extract.Paragraph, Start: 8, End: 11, Page: 1, HeadingPath: []string{"One", "Two"}},
			{Kind: extract.Paragraph, Start: 13, End: 16, Page: 2, HeadingPath: []string{"One", "Two"}},
			{Kind: extract.Heading, Level: 2, Start: 17, End: 20, Page: 2, HeadingPath: []string{"One"}},
			{Kind: extract.Paragraph, Start: 21, End: 24, Page: 2, HeadingPath: []string{"One", "Tri"}},
		},
		Pages: []extract.Page{
			{Number: 1, Start: 0, End: 13, Words: []extract.Word{{Start: 8, End: 11}}},
			{Number: 2, Start: 13, End: 26, Words: []extract.Word{{Start: 13, End: 16}}},
		},
	}
	if diff := cmp.Diff(want, c.Text()); diff != "" {
		t.Error(diff)
	}
}

func TestStitcherClosesAllSections(t *testing.T) {
	var s extract.Stitcher
	p := s.Shift(extract.Part{Text: "a\nb\n\n", Elements: []extract.Element{
		{Kind: extract.Heading, Level: 2, Start: 0, End: 1},
		{Kind: extract.Heading, Level: 1, Start: 2, End: 3},
	}})
	if p.Elements[1].HeadingPath != nil {
		t.Errorf("the outer heading stands below %q", p.Elements[1].HeadingPath)
	}
}

// recorder keeps the parts, and can fail.
type recorder struct {
	extract.Collector
	parts       []extract.Part
	beginFails  error
	secondFails error
}

func (r *recorder) Begin(i extract.Info) error {
	if r.beginFails != nil {
		return r.beginFails
	}
	return r.Collector.Begin(i)
}

func (r *recorder) Part(p extract.Part) error {
	if r.parts = append(r.parts, p); len(r.parts) == 2 && r.secondFails != nil {
		return r.secondFails
	}
	return r.Collector.Part(p)
}

func TestSendCutsBetweenElements(t *testing.T) {
	text := strings.Repeat("# Title\n\n"+strings.Repeat("word ", 2000)+"\n- an item\n- another\n\n", 100)
	var r recorder
	if err := extract.Plain(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.parts) != 4 {
		t.Errorf("%d parts of a text of %d bytes, want 4", len(r.parts), len(text))
	}
	for i, p := range r.parts {
		if !strings.HasSuffix(p.Text, "\n\n") || strings.TrimSpace(p.Text) == "" {
			t.Errorf("part %d ends with %.20q", i, p.Text[len(p.Text)-20:])
		}
	}
	got := r.Text()
	if got.Content != text {
		t.Error("the parts are not the text")
	}
	for _, e := range got.Elements {
		if s := got.Content[e.Start:e.End]; strings.TrimSpace(s) != s || s == "" {
			t.Errorf("element %+v is %q", e, s)
		}
	}
}

func TestSendEndsEveryText(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n\n": "", "a": "a\n\n", "a\n": "a\n\n", "a\n\n": "a\n\n", "a\n\n\n\n": "a\n\n"} {
		var c extract.Collector
		if err := extract.Plain(in, &c); err != nil {
			t.Fatal(err)
		}
		if got := c.Text().Content; got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSendStopsWhenTheSinkFails(t *testing.T) {
	full := errors.New("full")
	text := strings.Repeat(strings.Repeat("word ", 20000)+"\n\n", 20)
	for _, r := range []*recorder{{beginFails: full}, {secondFails: full}} {
		if err := extract.Plain(text, r); !errors.Is(err, full) {
			t.Errorf("got %v", err)
		}
		if len(r.parts) > 2 {
			t.Errorf("went on after the error, to %d parts", len(r.parts))
		}
	}
}

func TestHasText(t *testing.T) {
	for s, want := range map[string]bool{"": false, " \n--- * \u00A0": false, "a": true, "7": true, "—한": true} {
		if extract.HasText(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}

// outline shows elements a line each, for comparison.
func outline(t extract.Text) string {
	var b strings.Builder
	for _, e := range t.Elements {
		fmt.Fprintf(&b, "%s", e.Kind)
		if e.Level > 0 {
			fmt.Fprintf(&b, "%d", e.Level)
		}
		fmt.Fprintf(&b, " %q\n", t.Content[e.Start:e.End])
	}
	return b.String()
}
