package search

import (
	"context"
	"errors"
	"fmt"

	"byline/internal/document"
	"byline/internal/engine/embed"
	"byline/internal/engine/lexical"
	"byline/internal/engine/vector"
	"byline/internal/ident"
)

// nearLimit is when it begins to matter whether one more passage fits, in bytes.
const nearLimit = lexical.SegmentLimit - lexical.SegmentLimit/8

// builders are used again, for what they remember of words. There are few, of some megabytes; a sync.Pool would forget them
// between one document and the next, in which much is allocated.
var builders = make(chan *lexical.Builder, 2)

// sparedSize is up to which size of its segment a builder is kept: it takes ten times as much.
const sparedSize = 128 << 10

func takeBuilder() *lexical.Builder {
	select {
	case b := <-builders:
		return b
	default:
		return lexical.NewBuilder()
	}
}

func keepBuilder(b *lexical.Builder) {
	select {
	case builders <- b:
	default:
	}
}

// Encode turns the passages of one document into segments. Headings count as words of their passages: a section is
// found by its title, too.
func Encode(passages []document.Passage) ([]Segment, error) {
	var out []Segment
	b := takeBuilder()
	cut := func() error {
		if b.Len() == 0 {
			return nil
		}
		s, err := segmentOf(b.Bytes())
		if err != nil {
			return err
		}
		out = append(out, s)
		b.Reset()
		return nil
	}
	for _, p := range passages {
		read(b, p)
		if b.Size() > nearLimit && !b.ReadFits(lexical.SegmentLimit) {
			if err := cut(); err != nil {
				return nil, err
			}
			read(b, p)
		}
		if err := b.AddRead(p.ID, p.DocumentID); err != nil {
			return nil, fmt.Errorf("index passage %s: %w", p.ID, err)
		}
	}
	small := len(out) == 0 && b.Size() < sparedSize
	if err := cut(); err != nil {
		return nil, err
	}
	if small {
		keepBuilder(b)
	}
	return out, nil
}

func read(b *lexical.Builder, p document.Passage) {
	b.Read(p.Text, p.Language)
	for _, h := range p.HeadingPath {
		b.Read(h, p.Language)
	}
}

func segmentOf(data []byte) (Segment, error) {
	s, err := lexical.Open(data)
	if err != nil {
		return Segment{}, fmt.Errorf("open new segment: %w", err)
	}
	st := s.Stats()
	return Segment{ID: ident.New(), Data: data, Bytes: len(data), Passages: st.Passages, Tokens: int64(st.Tokens), Groups: s.Groups()}, nil
}

// embedBatch is how many passages are embedded and written at a time.
const embedBatch = 64

// EncodeMeaning embeds the passages of one document and turns them into segments of the embedder's space. put gets their
// vectors as they come, batch by batch. A passage of which the embedder knows nothing has no vector.
func EncodeMeaning(ctx context.Context, e embed.Embedder, passages []document.Passage, put func([]VectorRow) error) ([]Segment, error) {
	space := e.Space()
	var out []Segment
	b, known := vector.NewBuilder(space.Dims), 0.0
	cut := func() error {
		if b.Len() == 0 {
			return nil
		}
		s, err := meaningSegment(b.Bytes(), space.ID(), known)
		if err != nil {
			return err
		}
		out, b, known = append(out, s), vector.NewBuilder(space.Dims), 0
		return nil
	}
	for len(passages) > 0 {
		part := passages[:min(embedBatch, len(passages))]
		passages = passages[len(part):]
		texts := make([]string, len(part))
		for i, p := range part {
			texts[i] = meaningOf(p)
		}
		vectors, err := e.Passages(ctx, texts)
		if err != nil {
			return nil, err
		}
		if len(vectors) != len(part) {
			return nil, fmt.Errorf("embedder %s gave %d vectors for %d passages", space.Embedder, len(vectors), len(part))
		}
		rows := make([]VectorRow, 0, len(part))
		for i, p := range part {
			if !b.Fits(vector.SegmentLimit) {
				if err := cut(); err != nil {
					return nil, err
				}
			}
			err := b.Add(p.ID, p.DocumentID, vectors[i].Values)
			if errors.Is(err, vector.ErrZero) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("index passage %s: %w", p.ID, err)
			}
			known += vectors[i].Known
			rows = append(rows, VectorRow{PassageID: p.ID, Space: space.ID(), Values: vectors[i].Values})
		}
		if err := put(rows); err != nil {
			return nil, err
		}
	}
	return out, cut()
}

// meaningOf is the text of a passage as it is embedded: under its nearest heading, which often says what it is about.
func meaningOf(p document.Passage) string {
	if n := len(p.HeadingPath); n > 0 {
		return p.HeadingPath[n-1] + "\n" + p.Text
	}
	return p.Text
}

func meaningSegment(data []byte, space string, known float64) (Segment, error) {
	s, err := vector.Open(data)
	if err != nil {
		return Segment{}, fmt.Errorf("open new segment: %w", err)
	}
	return Segment{ID: ident.New(), Data: data, Space: space, Bytes: len(data), Passages: s.Len(), Known: known, Groups: s.Groups()}, nil
}
