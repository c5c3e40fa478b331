package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/engine/chunk"
	"byline/internal/engine/embed"
	"byline/internal/engine/extract"
	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/search"
)

// Extractor reads the documents of one format. The file is the caller's.
type Extractor func(ctx context.Context, f blob.File, size int64, sink extract.Sink) error

// Pipeline brings documents to their index. It is the handler of process runs, and safe for concurrent use.
type Pipeline struct {
	store      Store
	blobs      blob.Store
	extractors map[string]Extractor // by document type
	embedders  func(context.Context) ([]embed.Embedder, error)
}

// New makes a pipeline. embedders gives those whose spaces documents are put into; none is right, too.
func New(store Store, blobs blob.Store, extractors map[string]Extractor, embedders func(context.Context) ([]embed.Embedder, error)) *Pipeline {
	return &Pipeline{store, blobs, extractors, embedders}
}

// batchBytes is about how much is written in one transaction.
const batchBytes = 192 << 10

// Handle does what is left to do of the run's document, stage by stage. A stage that was committed is not repeated;
// one that was not begins anew.
func (p *Pipeline) Handle(ctx context.Context, job *runs.Job) (result any, err error) {
	lease := job.Lease()
	work, err := p.store.Begin(ctx, lease)
	if err != nil {
		return nil, err
	}
	stages := []struct {
		name string
		to   document.Stage
		do   func(context.Context, *stage) (Commit, error)
	}{
		{"extract", document.Extracted, p.extract},
		{"chunk", document.Chunked, p.chunk},
		{"index", document.Indexed, p.index},
		{"embed", document.Embedded, p.embed},
	}
	at := 0
	for i, s := range stages {
		if s.to == work.Stage {
			at = i + 1
		}
	}
	for _, s := range stages[at:] {
		st := &stage{Work: work, name: s.name, lease: lease, store: p.store}
		if err := job.Emit(ctx, runs.NewEvent{Type: runs.EventStepStarted, Data: runs.StepEvent{Step: s.name}}); err != nil {
			return nil, err
		}
		c, err := s.do(ctx, st)
		if err != nil {
			return nil, err
		}
		c.Stage = s.to
		done := runs.NewEvent{Type: runs.EventStepCompleted, Data: runs.StepEvent{Step: s.name, Done: st.done, Of: st.done}}
		if err := p.store.CommitStage(ctx, lease, work.Generation, c, done); err != nil {
			return nil, err
		}
	}
	return map[string]string{"document_id": work.Document.ID}, nil
}

// stage is one stage of one document under way.
type stage struct {
	Work
	name  string
	lease runs.Lease
	store Store
	done  int
	told  time.Time
}

// tellEvery is the least time between two progress events: a reader needs no more, and each is a write.
const tellEvery = 150 * time.Millisecond

func (s *stage) progress(ctx context.Context, done, of int) error {
	s.done = done
	if now := time.Now(); now.Sub(s.told) >= tellEvery {
		s.told = now
		return s.store.Progress(ctx, s.lease, document.Progress{Done: done, Of: of},
			runs.NewEvent{Type: runs.EventStepProgress, Data: runs.StepEvent{Step: s.name, Done: done, Of: of}})
	}
	return nil
}

func (s *stage) put(ctx context.Context, b Batch) error {
	return s.store.Put(ctx, s.lease, s.Generation, b)
}

// extract reads the bytes and keeps text, elements and pages.
func (p *Pipeline) extract(ctx context.Context, s *stage) (Commit, error) {
	read := p.extractors[s.Document.Type]
	if read == nil {
		return Commit{}, fault.New(fault.Unsupported, "unsupported_type", "Documents of the type %s cannot be read by this version.", s.Document.Type)
	}
	f, err := p.blobs.Open(ctx, s.Document.Blob)
	if err != nil {
		return Commit{}, fmt.Errorf("open document's bytes: %w", err)
	}
	defer f.Close()
	k := &keeper{ctx: ctx, stage: s}
	if err := read(ctx, f, s.Document.Size, k); err != nil {
		return Commit{}, err
	}
	if err := k.flush(true); err != nil {
		return Commit{}, err
	}
	if !k.letters {
		return Commit{}, emptyText(s.Document.Type, k.pages)
	}
	return Commit{Title: k.info.Title, Author: k.info.Author, Published: k.info.Published, TextLength: k.at, PageCount: k.pages}, nil
}

func emptyText(kind string, pages int) error {
	if kind == string(extract.PDF) {
		return fault.New(fault.Invalid, "empty_text",
			"No text was found on its %d pages: they are probably pictures of pages. Reading those (OCR) is not part of this version yet; upload a PDF with text.", pages)
	}
	return fault.New(fault.Invalid, "empty_text", "There is no text in it.")
}

// chunk cuts the text into passages.
func (p *Pipeline) chunk(ctx context.Context, s *stage) (Commit, error) {
	text, err := p.store.Extracted(ctx, s.Document.Workspace, s.Document.ID, s.Generation)
	if err != nil {
		return Commit{}, err
	}
	pieces := chunk.Passages(text)
	if len(pieces) == 0 {
		return Commit{}, emptyText(s.Document.Type, len(text.Pages))
	}
	languages := map[string]int{}
	var b Batch
	size := 0
	for i, c := range pieces {
		body := text.Content[c.Start:c.End]
		lang := lexical.DetectLanguage(body)
		languages[lang] += len(body)
		b.Passages = append(b.Passages, document.Passage{ID: ident.New(), DocumentID: s.Document.ID, Ord: i, Text: body, Start: c.Start, End: c.End,
			PageFrom: c.PageFrom, PageTo: c.PageTo, HeadingPath: c.HeadingPath, Hash: c.Hash, Language: lang})
		if size += len(body) + 200; size < batchBytes && i < len(pieces)-1 {
			continue
		}
		if err := s.put(ctx, b); err != nil {
			return Commit{}, err
		}
		b, size = Batch{}, 0
		if err := s.progress(ctx, i+1, len(pieces)); err != nil {
			return Commit{}, err
		}
	}
	s.done = len(pieces)
	return Commit{PassageCount: len(pieces), Language: most(languages)}, nil
}

// most is the language of most of the text; of equals the first by name.
func most(languages map[string]int) string {
	best := ""
	for l, n := range languages {
		if l != "" && (best == "" || n > languages[best] || n == languages[best] && l < best) {
			best = l
		}
	}
	return best
}

// index makes the passages findable.
func (p *Pipeline) index(ctx context.Context, s *stage) (Commit, error) {
	passages, err := p.store.Chunked(ctx, s.Document.Workspace, s.Document.ID, s.Generation)
	if err != nil {
		return Commit{}, err
	}
	segments, err := search.Encode(passages)
	if err != nil {
		return Commit{}, err
	}
	for i, seg := range segments {
		if err := s.putSegment(ctx, seg); err != nil {
			return Commit{}, err
		}
		if err := s.progress(ctx, i+1, len(segments)); err != nil {
			return Commit{}, err
		}
	}
	s.done = len(passages)
	return Commit{Segments: segments}, nil
}

func (s *stage) putSegment(ctx context.Context, seg search.Segment) error {
	for ord := 0; ord*batchBytes < len(seg.Data); ord++ {
		data := seg.Data[ord*batchBytes : min(len(seg.Data), (ord+1)*batchBytes)]
		if err := s.put(ctx, Batch{Segments: []SegmentSlice{{SegmentID: seg.ID, Ord: ord, Data: data}}}); err != nil {
			return err
		}
	}
	return nil
}

// embed makes the passages findable by their meaning. Readers find them by words meanwhile.
func (p *Pipeline) embed(ctx context.Context, s *stage) (Commit, error) {
	embedders, err := p.embedders(ctx)
	if err != nil || len(embedders) == 0 {
		return Commit{}, err
	}
	passages, err := p.store.Chunked(ctx, s.Document.Workspace, s.Document.ID, s.Generation)
	if err != nil {
		return Commit{}, err
	}
	var c Commit
	done := 0
	for _, e := range embedders {
		segments, err := search.EncodeMeaning(ctx, e, passages, func(rows []search.VectorRow) error {
			if err := s.put(ctx, Batch{Vectors: rows}); err != nil {
				return err
			}
			done += len(rows)
			return s.progress(ctx, done, len(passages)*len(embedders))
		})
		if err != nil {
			return Commit{}, err
		}
		for _, seg := range segments {
			if err := s.putSegment(ctx, seg); err != nil {
				return Commit{}, err
			}
		}
		c.Segments, c.Spaces = append(c.Segments, segments...), append(c.Spaces, e.Space().ID())
	}
	s.done = len(passages)
	return c, nil
}

// keeper is the sink of an extraction: it writes what comes in batches, so that memory does not grow with the document.
type keeper struct {
	ctx     context.Context
	stage   *stage
	info    extract.Info
	stitch  extract.Stitcher
	at      int // bytes of text so far
	pages   int
	letters bool

	text     []byte
	textAt   int
	elements []extract.Element
	words    []extract.Page
	size     int
	textOrd  int
	elemOrd  int
}

func (k *keeper) Begin(i extract.Info) error {
	k.info = i
	return nil
}

func (k *keeper) Part(p extract.Part) error {
	p = k.stitch.Shift(p)
	k.letters = k.letters || extract.HasText(p.Text)
	k.text = append(k.text, p.Text...)
	k.at += len(p.Text)
	k.elements = append(k.elements, p.Elements...)
	k.size += len(p.Text) + 100*len(p.Elements)
	if p.Page != nil {
		k.pages++
		k.words = append(k.words, *p.Page)
		k.size += 12 * len(p.Page.Words)
		if err := k.stage.progress(k.ctx, k.pages, max(k.pages, k.info.Pages)); err != nil {
			return err
		}
	}
	return k.flush(false)
}

// flush writes what has come together: with all, the rest too.
func (k *keeper) flush(all bool) error {
	if !all && k.size < batchBytes {
		return nil
	}
	for len(k.text) > 0 || len(k.elements) > 0 || len(k.words) > 0 {
		var b Batch
		if n := min(len(k.text), batchBytes); n > 0 {
			b.Slices = append(b.Slices, Slice{Kind: SliceText, Ord: k.textOrd, Start: k.textAt, Data: k.text[:n]})
			k.text, k.textAt, k.textOrd = k.text[n:], k.textAt+n, k.textOrd+1
		}
		if n := min(len(k.elements), batchBytes/100); n > 0 {
			data, err := json.Marshal(k.elements[:n])
			if err != nil {
				return fmt.Errorf("write elements: %w", err)
			}
			b.Slices = append(b.Slices, Slice{Kind: SliceElements, Ord: k.elemOrd, Data: data})
			k.elements, k.elemOrd = k.elements[n:], k.elemOrd+1
		}
		b.Pages, k.words = k.words, nil
		if err := k.stage.put(k.ctx, b); err != nil {
			return err
		}
	}
	k.text, k.elements, k.size = nil, nil, 0
	return nil
}
