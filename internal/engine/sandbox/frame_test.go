package sandbox_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/extract"
	"byline/internal/engine/sandbox"
)

var somePart = extract.Part{
	Text:     "Über Drachen\n\n",
	Elements: []extract.Element{{Kind: extract.Heading, Level: 1, End: 13, Page: 3}},
	Page: &extract.Page{Number: 3, End: 15, Width: 595, Height: 842, Problem: "bad_unicode_map", Words: []extract.Word{
		{Start: 0, End: 5, X0: 1, Y0: 2, X1: 3.5, Y1: 4}, {Start: 6, End: 13, X0: -5, Y0: 2, X1: 30, Y1: 4},
	}},
}

func frames(t testing.TB, parts ...extract.Part) []byte {
	t.Helper()
	b, err := sandbox.JSONFrame('b', extract.Info{Pages: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		frame, err := sandbox.EncodePart(p)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, frame...)
	}
	return append(b, 1, 0, 0, 0, 'd')
}

func TestPartsTravel(t *testing.T) {
	plain := extract.Part{Text: "No page.\n\n"}
	var got []extract.Part
	err := sandbox.TakeFrames(bytes.NewReader(frames(t, somePart, plain)), sinkFunc(func(p extract.Part) error {
		got = append(got, p)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]extract.Part{somePart, plain}, got); diff != "" {
		t.Error(diff)
	}
}

// TestLies: what does not hold together is refused, whoever sends it.
func TestLies(t *testing.T) {
	tests := map[string]func(*extract.Part){
		"word behind the text":    func(p *extract.Part) { p.Page.Words[1].End = 16 },
		"word inside a letter":    func(p *extract.Part) { p.Page.Words[0].Start = 1 },
		"word before the last":    func(p *extract.Part) { p.Page.Words[1].Start = 4 },
		"word backwards":          func(p *extract.Part) { p.Page.Words[1].End = 5 },
		"box of no number":        func(p *extract.Part) { p.Page.Words[0].X0 = float32(math.NaN()) },
		"endless box":             func(p *extract.Part) { p.Page.Words[0].X0 = float32(math.Inf(1)) },
		"element behind the text": func(p *extract.Part) { p.Elements[0].End = 99 },
		"negative element":        func(p *extract.Part) { p.Elements[0].Start = -1 },
		"level":                   func(p *extract.Part) { p.Elements[0].Level = 7 },
		"no UTF-8":                func(p *extract.Part) { p.Text = "\xff" + p.Text[1:] },
		"words without page":      func(p *extract.Part) { p.Page.Number = 0 },
		"negative page":           func(p *extract.Part) { p.Page.Number = -1 },
	}
	for name, lie := range tests {
		t.Run(name, func(t *testing.T) {
			p := somePart
			page := *p.Page
			page.Words = slices.Clone(page.Words)
			p.Page, p.Elements = &page, slices.Clone(p.Elements)
			lie(&p)
			err := sandbox.TakeFrames(bytes.NewReader(frames(t, p)), sinkFunc(func(extract.Part) error {
				t.Error("taken")
				return nil
			}))
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestFramesOutOfOrder(t *testing.T) {
	good := frames(t, somePart)
	part, err := sandbox.EncodePart(somePart)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"part before begin": append(part, good...),
		"begin twice":       slices.Concat(good[:len(good)-5], good),
		"no end":            good[:len(good)-5],
		"cut off":           good[:len(good)-20],
		"unknown kind":      {1, 0, 0, 0, 'z'},
		"no kind":           {0, 0, 0, 0, 0},
		"too long":          {0, 0, 0, 0x10, 'p'},
		"begin of nothing":  {3, 0, 0, 0, 'b', '{', '}'},
		"bad fault":         {2, 0, 0, 0, 'f', '{'},
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			if err := sandbox.TakeFrames(bytes.NewReader(b), sinkFunc(func(extract.Part) error { return nil })); err == nil {
				t.Error("no error")
			}
		})
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frames(f, somePart))
	f.Add([]byte{1, 0, 0, 0, 'd'})
	fault, err := sandbox.JSONFrame('f', map[string]any{"kind": 2, "code": "broken_document", "say": "No."})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fault)
	f.Fuzz(func(t *testing.T, b []byte) {
		var c extract.Collector
		err := sandbox.TakeFrames(bytes.NewReader(b), sinkFunc(func(p extract.Part) error {
			if !utf8.ValidString(p.Text) {
				t.Errorf("%q", p.Text)
			}
			for _, e := range p.Elements {
				_ = p.Text[e.Start:e.End]
			}
			if p.Page != nil {
				for _, w := range p.Page.Words {
					_ = p.Text[w.Start:w.End]
				}
			}
			return c.Part(p)
		}))
		_ = errors.Unwrap(err)
	})
}
