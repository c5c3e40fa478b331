package store_test

import (
	"fmt"
	"testing"

	"byline/internal/document"
	"byline/internal/runs"
	"byline/internal/store/storetest"
)

func BenchmarkList200(b *testing.B) {
	l := newLibrary(b, storetest.New(b))
	for i := range 200 {
		f := l.file(l.mine, fmt.Sprint("file ", i, ".md"), fmt.Sprint(i))
		f.Tags = []string{"a", "b"}
		_, _, err := l.Add(l.ctx, f, false, false, nil)
		l.ok(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		list, _, err := l.Documents(l.ctx, l.mine, document.Filter{Limit: 200})
		if err != nil || len(list) != 200 {
			b.Fatal(err)
		}
	}
}

func BenchmarkUser(b *testing.B) {
	l := newLibrary(b, storetest.New(b))
	us, _ := l.Users(l.ctx)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.User(l.ctx, us[0].ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	s := storetest.New(b)
	queued(b, s, 1, "")
	l := claimed(b, s, "w")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Append(b.Context(), l, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "a", Offset: 9 * i, Text: "some text"}}); err != nil {
			b.Fatal(err)
		}
	}
}
