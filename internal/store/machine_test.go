package store_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/document"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// oracle is a document as the machine below knows it.
type oracle struct {
	id      string
	ws      ident.Workspace
	bytes   string // of the upload
	seen    string // the text that readers see; empty before the first
	content string // that the run in work writes
	job     *job   // nil while nobody works
	queued  bool
	failed  bool
	stage   document.Stage
}

// machine makes random uploads, stages, crashes, deletions, merges and sweeps, and compares what can be read with a model
// that is a few maps.
type machine struct {
	library
	docs  map[string]*oracle
	gone  []string // texts that must be nowhere after a sweep
	count int
}

func (m *machine) pick(t *rapid.T, when func(*oracle) bool) *oracle {
	ids := slices.Sorted(maps.Keys(m.docs))
	ids = slices.DeleteFunc(ids, func(id string) bool { return !when(m.docs[id]) })
	if len(ids) == 0 {
		t.Skip("no such document")
	}
	return m.docs[rapid.SampledFrom(ids).Draw(t, "document")]
}

func (m *machine) upload(t *rapid.T) {
	ws := rapid.SampledFrom([]ident.Workspace{m.mine, m.foreign}).Draw(t, "workspace")
	bytes := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "bytes")
	force := rapid.Bool().Draw(t, "force")
	var twin bool
	for _, o := range m.docs {
		twin = twin || o.ws == ws && o.bytes == bytes
	}
	d, added, err := m.Add(m.ctx, m.file(ws, bytes+".md", bytes), true, force, nil)
	m.ok(err)
	if added != (force || !twin) {
		t.Fatalf("added %t, force %t, twin %t", added, force, twin)
	}
	if added {
		m.docs[d.ID] = &oracle{id: d.ID, ws: ws, bytes: bytes, queued: true, stage: document.Stored}
	} else if o := m.docs[d.ID]; o == nil || o.bytes != bytes || o.ws != ws {
		t.Fatalf("the same bytes gave %+v", d)
	}
}

func (m *machine) work(t *rapid.T) {
	queued := m.pick(t, func(o *oracle) bool { return o.queued })
	_ = queued
	m.count++
	j := m.job(fmt.Sprintf("text number %d, first\nand its second line\n", m.count))
	o := m.docs[j.run.Subject.ID]
	if o == nil || !o.queued || j.work.Stage != o.stage {
		t.Fatalf("work %+v on %+v", j.work, o)
	}
	if o.stage == document.Stored {
		o.content = j.content
	}
	j.content = o.content
	o.job, o.queued = j, false
}

// step does the next stage of a job.
func (m *machine) step(t *rapid.T) {
	o := m.pick(t, func(o *oracle) bool { return o.job != nil })
	half := rapid.Bool().Draw(t, "half") // a batch without its commit, as before a crash
	j := o.job
	switch o.stage {
	case document.Stored:
		if half {
			m.ok(j.putText(7))
			return
		}
		j.extract()
		o.stage = document.Extracted
	case document.Extracted:
		if half {
			m.stop(o) // passages have ids of their own, so a half stage is only followed by a new beginning
			return
		}
		j.chunk()
		o.stage = document.Chunked
	case document.Chunked:
		sg := j.segment()
		if half {
			return
		}
		m.ok(j.commit(ingest.Commit{Stage: document.Indexed, Segments: []search.Segment{sg}}))
		if o.seen != "" && o.seen != o.content {
			m.gone = append(m.gone, o.seen)
		}
		o.seen, o.stage = o.content, document.Indexed
	case document.Indexed:
		if half {
			j.segment()
			return
		}
		j.embed()
		m.end(j.lease, runs.Completed)
		o.stage, o.job = document.Embedded, nil
	}
}

func (m *machine) stop(o *oracle) {
	m.ok(m.Put(m.ctx, o.job.lease, o.job.work.Generation, ingest.Batch{Passages: passagesOf(o.content)[:1]}))
	m.end(o.job.lease, runs.Failed)
	o.job, o.failed = nil, true
}

func (m *machine) process(t *rapid.T) {
	o := m.pick(t, func(*oracle) bool { return true })
	force := rapid.Bool().Draw(t, "force")
	from := rapid.SampledFrom([]document.Stage{"", document.Extracted, document.Chunked, document.Indexed, document.Embedded}).Draw(t, "from")
	_, started, err := m.Process(m.ctx, o.ws, o.id, force, from, nil)
	m.ok(err)
	want := !o.queued && o.job == nil && (force || o.stage != document.Embedded)
	if started != want {
		t.Fatalf("started %t, want %t: %+v", started, want, o)
	}
	if !started {
		return
	}
	o.queued, o.failed = true, false
	if !force && from == "" {
		return // it goes on
	}
	have := map[document.Stage]int{document.Chunked: 1, document.Indexed: 2, document.Embedded: 2}[from]
	reached := map[document.Stage]int{document.Extracted: 1, document.Chunked: 2, document.Indexed: 3, document.Embedded: 4}[o.stage]
	unseen := o.content
	if reached < have && o.seen != "" {
		o.content = o.seen
	} else {
		have = min(have, reached)
	}
	o.stage = []document.Stage{document.Stored, document.Extracted, document.Chunked}[have]
	if unseen != o.seen && (have == 0 || unseen != o.content) && unseen != "" {
		m.gone = append(m.gone, unseen)
	}
	if have == 0 {
		o.content = ""
	}
}

func (m *machine) delete(t *rapid.T) {
	o := m.pick(t, func(*oracle) bool { return true })
	_, err := m.Delete(m.ctx, o.ws, o.id, false)
	m.ok(err)
	if o.job != nil {
		if err := o.job.putText(9); !fenced(err) {
			t.Fatalf("late work: %v", err)
		}
	}
	m.gone = append(m.gone, o.seen, o.content)
	delete(m.docs, o.id)
}

func (m *machine) tidy(t *rapid.T) {
	for _, ws := range []ident.Workspace{m.mine, m.foreign} {
		m.merge(ws)
	}
	m.sweep()
	kept := map[string]bool{"": true}
	for _, o := range m.docs {
		kept[o.seen], kept[o.content] = true, true
	}
	m.gone = slices.DeleteFunc(m.gone, func(s string) bool { return kept[s] })
	var words []string
	for _, text := range m.gone {
		words = append(words, text[:len("text number 1,")])
	}
	m.sound(store.VerifyOptions{Contains: words})
	m.gone = nil
}

// check compares all that can be read.
func (m *machine) check(t *rapid.T) {
	for _, ws := range []ident.Workspace{m.mine, m.foreign} {
		var found []string
		want := 0
		for _, o := range m.docs {
			if o.ws != ws {
				continue
			}
			want++
			text, _, err := m.Text(m.ctx, ws, o.id, 0, 1000)
			m.ok(err)
			if text != o.seen {
				t.Fatalf("text of %s is %q, want %q", o.id, text, o.seen)
			}
			var passages []string
			list, _, err := m.Passages(m.ctx, ws, o.id, 0, 100)
			m.ok(err)
			for _, p := range list {
				passages = append(passages, p.Text)
			}
			expect := []string(nil)
			for _, p := range passagesOf(o.seen) {
				expect = append(expect, p.Text)
			}
			if !slices.Equal(passages, expect) {
				t.Fatalf("passages of %s are %q, want %q", o.id, passages, expect)
			}
			found = append(found, expect...)
		}
		got := m.found(ws)
		slices.Sort(got)
		slices.Sort(found)
		if !slices.Equal(got, found) {
			t.Fatalf("search finds %q, want %q", got, found)
		}
		if _, total, err := m.Documents(m.ctx, ws, document.Filter{Limit: 2}); err != nil || total != want {
			t.Fatalf("%d documents, want %d, %v", total, want, err)
		}
	}
}

func TestLibraryEqualsItsOracle(t *testing.T) {
	checks(t, 15)
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		rapid.Check(t, func(rt *rapid.T) {
			m := &machine{library: l, docs: map[string]*oracle{}}
			m.TB = rt
			for _, table := range []string{"document", "document_slice", "page", "passage", "segment", "segment_slice", "segment_document",
				"run", "trash"} { // whatever the round before left, perhaps in its middle
				m.ok(s.Damage(m.ctx, `DELETE FROM `+table))
			}
			rt.Repeat(map[string]func(*rapid.T){
				"upload": m.upload, "work": m.work, "step": m.step, "step again": m.step, "step and step": m.step,
				"process": m.process, "delete": m.delete, "tidy": m.tidy, "": m.check,
			})
			for _, o := range m.docs { // at last nothing is left of anything
				_, err := m.Delete(m.ctx, o.ws, o.id, false)
				m.ok(err)
			}
			m.docs = map[string]*oracle{}
			m.tidy(rt)
		})
	})
}

// checks sets how many rounds rapid makes, unless the command line says so.
func checks(t *testing.T, n int) {
	const name = "rapid.checks"
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == name })
	if f := flag.Lookup(name); !asked && f != nil {
		old := f.Value.String()
		t.Cleanup(func() { _ = f.Value.Set(old) })
		_ = f.Value.Set(strconv.Itoa(n)) // a number is a number
	}
}
