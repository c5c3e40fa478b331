package search

import (
	"fmt"

	"byline/internal/document"
	"byline/internal/engine/lexical"
	"byline/internal/ident"
)

// nearLimit is when it begins to matter whether one more passage fits, in bytes.
const nearLimit = lexical.SegmentLimit - lexical.SegmentLimit/8

// Encode turns the passages of one document into segments. Headings count as words of their passages: a section is
// found by its title, too.
func Encode(passages []document.Passage) ([]Segment, error) {
	var out []Segment
	b := lexical.NewBuilder()
	cut := func() error {
		if b.Len() == 0 {
			return nil
		}
		s, err := segmentOf(b.Bytes())
		if err != nil {
			return err
		}
		out, b = append(out, s), lexical.NewBuilder()
		return nil
	}
	for _, p := range passages {
		tokens := lexical.Analyze(p.Text, p.Language)
		for _, h := range p.HeadingPath {
			tokens = append(tokens, lexical.Analyze(h, p.Language)...)
		}
		if b.Size() > nearLimit && !b.Fits(tokens, lexical.SegmentLimit) {
			if err := cut(); err != nil {
				return nil, err
			}
		}
		if err := b.Add(p.ID, p.DocumentID, tokens); err != nil {
			return nil, fmt.Errorf("index passage %s: %w", p.ID, err)
		}
	}
	return out, cut()
}

func segmentOf(data []byte) (Segment, error) {
	s, err := lexical.Open(data)
	if err != nil {
		return Segment{}, fmt.Errorf("open new segment: %w", err)
	}
	st := s.Stats()
	return Segment{ID: ident.New(), Data: data, Bytes: len(data), Passages: st.Passages, Tokens: int64(st.Tokens), Groups: s.Groups()}, nil
}
