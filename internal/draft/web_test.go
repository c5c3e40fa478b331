package draft_test

import (
	"strings"
	"testing"
	"time"

	"byline/internal/draft"
)

func TestFootnotesOfPagesSayWhereAndWhen(t *testing.T) {
	d, citations := sample(t)
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.FixedZone("", -3600))
	citations[0].Spans[0].URL, citations[0].Spans[0].FetchedAt, citations[0].Spans[0].Title = "https://example.org/a_b*c?q=<x>&y=%20 z`", at, "All about *roofs*"
	citations[1].Spans[0].URL = "https://example.org/b"
	for _, way := range draft.Citations {
		f, err := draft.Export{Citations: way}.Write(d, citations)
		if err != nil {
			t.Fatal(err)
		}
		text := string(f.Data)
		for _, want := range []string{`All about \*roofs\*, <https://example.org/a_b*c?q=%3Cx%3E&y=%20%20z%60> (fetched 2026-03-02), p. 2: “The roof leaks.”`, `report_1.pdf, <https://example.org/b>: “It`} {
			if strings.Contains(text, want) != (way != "none") {
				t.Errorf("%s: %q in\n%s", way, want, text)
			}
		}
	}
	f, err := draft.Export{Format: "json"}.Write(d, citations)
	if err != nil || !strings.Contains(string(f.Data), `"url": "https://example.org/b"`) || strings.Count(string(f.Data), "fetched_at") != 1 {
		t.Errorf("%v\n%s", err, f.Data)
	}
}
