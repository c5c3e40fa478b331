package store_test

import (
	"testing"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestProcessGivesTheRunThatIsThere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.upload(l.mine, "a.md", "one\n")
		wantRun := func(what string, force bool, from document.Stage, started bool, run string) runs.Run {
			t.Helper()
			r, got, err := l.Process(l.ctx, l.mine, d.ID, force, from, nil)
			l.ok(err)
			if got != started || run != "" && r.ID != run || started && r.ID == d.RunID {
				t.Errorf("%s: run %s (started %t), want %s (%t)", what, r.ID, got, run, started)
			}
			return r
		}
		wantRun("queued", false, "", false, d.RunID)
		wantRun("queued and forced", true, "", false, d.RunID)
		d = l.finish(d, "one\n")
		wantRun("completed", false, "", false, d.RunID)
		wantRun("completed, another stage without force", false, document.Chunked, false, d.RunID)
		r := wantRun("completed and forced", true, "", true, "")
		wantRun("running again", true, "", false, r.ID)

		_, _, err := l.Process(l.ctx, l.mine, d.ID, true, "later", nil)
		l.refused(err, fault.Invalid, "bad_stage")

		// A document that was only stored gets its first run.
		plain, _, err := l.Add(l.ctx, l.file(l.mine, "b.md", "two\n"), false, false, nil)
		l.ok(err)
		once := &ident.Once{Key: "k", Fingerprint: "f"}
		r, started, err := l.Process(l.ctx, l.mine, plain.ID, false, "", once)
		l.ok(err)
		again, startedAgain, err := l.Process(l.ctx, l.mine, plain.ID, false, "", once)
		l.ok(err)
		if !started || !startedAgain || again.ID != r.ID {
			t.Errorf("the repeated request gave %s (%t), not %s (%t)", again.ID, startedAgain, r.ID, started)
		}
	})
}

func TestProcessResumesAtTheFailedStage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := lines("Ann", 12)
		d := l.upload(l.mine, "a.md", content)
		j := l.job(content)
		j.extract()
		l.ok(l.Put(l.ctx, j.lease, j.work.Generation, ingest.Batch{Passages: passagesOf(content)[:5]})) // not committed
		l.ok(l.Store.Progress(l.ctx, j.lease, document.Progress{Done: 5, Of: 12}))
		got, err := l.Document(l.ctx, l.mine, d.ID)
		l.ok(err)
		if got.Status != document.Processing || got.Stage != document.Extracted || *got.Progress != (document.Progress{Done: 5, Of: 12}) {
			t.Errorf("got %+v", got)
		}
		l.end(j.lease, runs.Failed)
		got, err = l.Document(l.ctx, l.mine, d.ID)
		l.ok(err)
		if got.Status != document.Failed || got.Progress != nil {
			t.Errorf("got %+v", got)
		}

		_, started, err := l.Process(l.ctx, l.mine, d.ID, false, "", nil)
		if err != nil || !started {
			t.Fatal("no new run", err)
		}
		j = l.job(content)
		if j.work.Stage != document.Extracted || j.work.Generation != 1 {
			t.Errorf("work begins at %s of generation %d", j.work.Stage, j.work.Generation)
		}
		left, err := l.Chunked(l.ctx, l.mine, d.ID, 1)
		if err != nil || len(left) != 0 {
			t.Errorf("%d passages of the unfinished stage are left, %v", len(left), err)
		}
		x, err := l.Extracted(l.ctx, l.mine, d.ID, 1)
		if err != nil || x.Content != content {
			t.Error("the text of the finished stage is lost", err)
		}
		j.chunk()
		j.segment() // not committed either
		l.end(j.lease, runs.Failed)
		_, _, err = l.Process(l.ctx, l.mine, d.ID, false, "", nil)
		l.ok(err)
		d = l.finish(d, content)
		if d.Status != document.Completed || d.PassageCount != 12 || len(l.found(l.mine)) != 12 {
			t.Errorf("got %+v", d)
		}
		r := l.sound(store.VerifyOptions{})
		if r.Segments != 2 {
			t.Errorf("%d segments", r.Segments)
		}
	})
}

func TestBeginRemovesLargeLeftovers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := lines("Ann", 450) // more than one removal takes, of each kind
		d := l.upload(l.mine, "a.md", content)
		j := l.job(content)
		l.ok(j.putText(1000))
		l.ok(l.Put(l.ctx, j.lease, 1, ingest.Batch{Passages: passagesOf(content)}))
		j.segment()
		l.end(j.lease, runs.Failed)
		_, _, err := l.Process(l.ctx, l.mine, d.ID, false, "", nil)
		l.ok(err)
		d = l.finish(d, content)
		if d.PassageCount != 450 {
			t.Errorf("%d passages", d.PassageCount)
		}
		l.sound(store.VerifyOptions{})
	})
}

// Readers see the old generation until the new one is indexed, whatever of it is taken over.
func TestForcedWorkIsSeenWhenItIsIndexed(t *testing.T) {
	for _, c := range []struct {
		from  document.Stage
		stage document.Stage // that work finds done
	}{{"", document.Stored}, {document.Extracted, document.Stored}, {document.Chunked, document.Extracted}, {document.Indexed, document.Chunked}, {document.Embedded, document.Chunked}} {
		t.Run("from "+string(c.from), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				l := newLibrary(t, s)
				old := lines("Old", 9)
				d := l.ready(l.mine, "a.md", old)
				before, _, err := l.Passages(l.ctx, l.mine, d.ID, 0, 100)
				l.ok(err)
				_, started, err := l.Process(l.ctx, l.mine, d.ID, true, c.from, nil)
				if err != nil || !started {
					t.Fatal("no new run", err)
				}
				fresh := old
				if c.stage == document.Stored {
					fresh = lines("New", 8)
				}
				j := l.job(fresh)
				if j.work.Generation != 2 || j.work.Stage != c.stage {
					t.Fatalf("work begins at %s of generation %d", j.work.Stage, j.work.Generation)
				}
				unchanged := func(when string) {
					t.Helper()
					text, _, err := l.Text(l.ctx, l.mine, d.ID, 0, 1<<20)
					l.ok(err)
					list, total, err := l.Passages(l.ctx, l.mine, d.ID, 0, 100)
					l.ok(err)
					same(t, "passages "+when, list, before)
					if text != old || total != 9 || len(l.found(l.mine)) != 9 {
						t.Errorf("%s: readers see %d bytes, find %d of %d", when, len(text), len(l.found(l.mine)), total)
					}
				}
				if c.stage == document.Stored {
					j.extract()
					unchanged("after extraction")
				}
				if c.stage != document.Chunked {
					j.chunk()
					unchanged("after chunking")
				}
				sg := j.segment()
				unchanged("before the commit")
				l.ok(j.commit(ingest.Commit{Stage: document.Indexed, Segments: []search.Segment{sg}}))
				j.embed()
				l.end(j.lease, runs.Completed)

				want := passagesOf(fresh)
				var texts []string
				for _, p := range want {
					texts = append(texts, p.Text)
				}
				same(t, "found", l.found(l.mine), texts)
				now, err := l.Document(l.ctx, l.mine, d.ID)
				l.ok(err)
				if now.Generation != 2 || now.PassageCount != len(want) || now.Status != document.Completed {
					t.Errorf("got %+v", now)
				}
				infos, err := l.Segments(l.ctx, l.mine, "")
				l.ok(err)
				if len(infos) != 2 || len(infos[0].Dead) != 1 || len(infos[1].Dead) != 0 {
					t.Errorf("segments %+v", infos)
				}
				l.merge(l.mine)
				l.sweep()
				o := store.VerifyOptions{}
				if c.stage == document.Stored {
					o.Contains = []string{"Old has line"}
				}
				l.sound(o)
				same(t, "found after the sweep", l.found(l.mine), texts)
				if text, _, err := l.Text(l.ctx, l.mine, d.ID, 0, 1<<20); err != nil || text != fresh {
					t.Error("the text is lost", err)
				}
			})
		})
	}
}

// A generation that nobody finishes is swept; what a later one took over from it stays.
func TestAbandonedGenerations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		old, fresh := lines("Old", 5), lines("New", 6)
		d := l.ready(l.mine, "a.md", old)
		again := func(from document.Stage, content string) *job {
			t.Helper()
			_, started, err := l.Process(l.ctx, l.mine, d.ID, true, from, nil)
			if err != nil || !started {
				t.Fatal("no new run", err)
			}
			return l.job(content)
		}
		j := again("", fresh) // generation 2 is extracted, then fails
		j.extract()
		l.end(j.lease, runs.Failed)
		j = again(document.Chunked, fresh) // generation 3 takes its text
		if j.work.Generation != 3 || j.work.Stage != document.Extracted {
			t.Fatalf("work begins at %s of generation %d", j.work.Stage, j.work.Generation)
		}
		l.sweep()
		x, err := l.Extracted(l.ctx, l.mine, d.ID, 3)
		if err != nil || x.Content != fresh {
			t.Fatal("the text that was taken over is lost", err)
		}
		l.end(j.lease, runs.Failed)
		j = again("", fresh) // generation 4 makes all anew, and fails before its text is whole
		l.ok(j.putText(100))
		l.end(j.lease, runs.Failed)
		l.sweep()
		j = again(document.Indexed, old) // what readers see came farthest
		if j.work.Generation != 5 || j.work.Stage != document.Chunked {
			t.Fatalf("work begins at %s of generation %d", j.work.Stage, j.work.Generation)
		}
		l.sweep()
		l.sound(store.VerifyOptions{Contains: []string{"New has line"}})
		j.index()
		l.end(j.lease, runs.Completed)
		l.merge(l.mine)
		l.sweep()
		l.sound(store.VerifyOptions{Contains: []string{"New has line"}})
		if got := l.found(l.mine); len(got) != 5 {
			t.Errorf("found %q", got)
		}
	})
}

func TestLateWorkIsFenced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := lines("Ann", 4)
		calls := func(j *job) map[string]error {
			_, begin := l.Begin(l.ctx, j.lease)
			return map[string]error{
				"Begin":    begin,
				"Put":      j.putText(100),
				"Progress": l.Store.Progress(l.ctx, j.lease, document.Progress{Done: 1, Of: 2}),
				"Commit":   j.commit(ingest.Commit{Stage: document.Extracted, TextLength: len(content)}),
			}
		}
		d := l.upload(l.mine, "a.md", content)
		j := l.job(content)
		l.ok(j.putText(100))
		_, err := l.Delete(l.ctx, l.mine, d.ID, false)
		l.ok(err)
		for call, err := range calls(j) {
			if !fenced(err) {
				t.Errorf("%s after the deletion: %v", call, err)
			}
		}
		l.sweep()
		l.sound(store.VerifyOptions{Contains: []string{"Ann has line"}})

		d = l.upload(l.mine, "a.md", content)
		j = l.job(content)
		other := *j
		other.work.Generation = 2
		if err := other.putText(100); !fenced(err) {
			t.Errorf("Put to another generation: %v", err)
		}
		if err := other.commit(ingest.Commit{Stage: document.Extracted}); !fenced(err) {
			t.Errorf("CommitStage of another generation: %v", err)
		}
		j.extract()
		l.ok(j.commit(ingest.Commit{Stage: document.Extracted})) // again, without an effect
		if err := j.commit(ingest.Commit{Stage: document.Indexed}); err == nil {
			t.Error("a stage was left out")
		}
		l.end(j.lease, runs.Failed)
		for call, err := range calls(j) {
			if !fenced(err) {
				t.Errorf("%s after the end: %v", call, err)
			}
		}
		got, err := l.Document(l.ctx, l.mine, d.ID)
		l.ok(err)
		if got.Stage != document.Extracted || got.Status != document.Failed {
			t.Errorf("late work changed the document: %+v", got)
		}
		l.sound(store.VerifyOptions{})
	})
}

func TestPutAgainChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := lines("Ann", 6)
		l.upload(l.mine, "a.md", content)
		j := l.job(content)
		l.ok(j.putText(100))
		j.extract()
		list := passagesOf(content)
		for range 2 {
			l.ok(l.Put(l.ctx, j.lease, 1, ingest.Batch{Passages: list}))
		}
		l.ok(j.commit(ingest.Commit{Stage: document.Chunked, PassageCount: len(list)}))
		sg := search.Segment{ID: ident.New(), Groups: []string{j.work.Document.ID}}
		for range 2 {
			l.ok(l.Put(l.ctx, j.lease, 1, ingest.Batch{Segments: []ingest.SegmentSlice{{SegmentID: sg.ID, Data: []byte("x")}}}))
		}
		l.ok(j.commit(ingest.Commit{Stage: document.Indexed, Segments: []search.Segment{sg}}))
		l.ok(j.commit(ingest.Commit{Stage: document.Embedded}))
		l.end(j.lease, runs.Completed)
		l.sound(store.VerifyOptions{})
	})
}
