package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/store"
)

// storm is how much happens at once.
type storm struct{ runs, kills, disconnects int }

// sizes are the promised ones with TORTURE_SEEDS, else smaller.
func sizes() storm {
	if os.Getenv("TORTURE_SEEDS") != "" {
		return storm{runs: 60, kills: 12, disconnects: 400}
	}
	return storm{runs: 8, kills: 2, disconnects: 30}
}

// writing is a post that is written, with those who read along.
type writing struct {
	draft, run string
	readers    []*reader
	halves     []*reader // as readers were when they hung up last
}

// readersOfRun is how many read each run along.
const readersOfRun = 2

// Posts that are all written at the same time while the server is killed again and again and readers hang up and come again:
// each reader sees every event once and in order, and ends with the text of the draft; so does one that comes when tokens have
// become snapshots, from the start or from where it once was.
func TestKillUnderReaders(t *testing.T) {
	size := sizes()
	v := newVictim(t, "BYLINE_WORKERS="+strconv.Itoa(size.runs))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	posts := v.begin(size)
	wait := v.watch(ctx, posts, size)
	r := rand.New(rand.NewPCG(uint64(size.runs), 5))
	for kill := range size.kills {
		time.Sleep(time.Duration(20_000+r.IntN(300_000)) * time.Microsecond)
		v.kill()
		v.start()
		if n := v.underWay(); n == 0 {
			t.Fatalf("no run is under way at kill %d: they are too short for this test", kill+1)
		}
	}
	wait()
	texts := v.compare(posts, size)
	v.kill()
	compact(t, v.dir)
	v.start()
	v.reread(ctx, posts, texts)
	v.sound()
}

// begin starts to write all posts.
func (v *victim) begin(size storm) []*writing {
	v.t.Helper()
	var ids []string
	for i := range 3 {
		ids = append(ids, strconv.Quote(v.settled(v.upload(fmt.Sprintf("s%d.md", i), prose(uint64(i), 200)).ID).ID))
	}
	var posts []*writing
	for i := range size.runs {
		var started struct {
			Draft, Run struct {
				ID string `json:"id"`
			}
		}
		v.ask("POST", "/blog/generate", fmt.Sprintf(`{"document_ids":[%s],"brief":{"words":%d}}`, strings.Join(ids, ","), 3000+50*i), &started)
		posts = append(posts, &writing{draft: started.Draft.ID, run: started.Run.ID, readers: make([]*reader, readersOfRun), halves: make([]*reader, readersOfRun)})
	}
	return posts
}

// watch lets the readers read; each hangs up a few times behind some event. The function that it gives waits for all.
func (v *victim) watch(ctx context.Context, posts []*writing, size storm) (wait func()) {
	var all sync.WaitGroup
	n := len(posts) * readersOfRun
	for i := range n {
		w, slot := posts[i/readersOfRun], i%readersOfRun
		times := size.disconnects / n
		if i < size.disconnects%n {
			times++
		}
		r := rand.New(rand.NewPCG(uint64(i), 6))
		rd := &reader{}
		next := 1 + r.IntN(40)
		leave := func() bool {
			if next--; next > 0 || times == 0 || rd.end != "" {
				return false
			}
			times, next = times-1, 1+r.IntN(50) // logs have 250 events and more
			rd.left++
			w.halves[slot] = rd.copied()
			return true
		}
		all.Go(func() { w.readers[slot] = v.readFrom(ctx, w.run, leave, rd) })
	}
	return all.Wait
}

// underWay counts the runs that have not ended.
func (v *victim) underWay() int {
	v.t.Helper()
	var n struct {
		Total int `json:"total"`
	}
	queued := 0
	for _, status := range []string{"running", "queued"} {
		v.ask("GET", "/runs?kind=generate&status="+status, "", &n)
		queued += n.Total
	}
	return queued
}

// compare holds what the readers have against the drafts, whose texts it gives.
func (v *victim) compare(posts []*writing, size storm) (texts []string) {
	v.t.Helper()
	var left, came, events, restarts, resets int
	for i, w := range posts {
		var d struct {
			Content, Status string
			Version         int
		}
		if v.ask("GET", "/blog/"+w.draft, "", &d); d.Status != "completed" || d.Version != 1 {
			v.t.Fatalf("draft of run %d is %s with %d versions", i, d.Status, d.Version)
		}
		for _, rd := range w.readers {
			if rd.end != "run.completed" || len(rd.problems) > 0 {
				v.t.Fatalf("run %d ended with %q, a reader saw %v", i, rd.end, rd.problems)
			}
			if got := rd.whole(); got != d.Content {
				v.t.Fatalf("run %d: a reader has %d bytes, the draft %d", i, len(got), len(d.Content))
			}
			left, came, events = left+rd.left, came+rd.came, events+int(rd.last)
		}
		restarts, resets = restarts+w.readers[0].kinds["run.restarted"], resets+w.readers[0].kinds["reset"]
		texts = append(texts, d.Content)
	}
	if left < size.disconnects {
		v.t.Errorf("readers hung up %d times only", left)
	}
	v.t.Logf("%d runs x %d readers, %d kills: readers hung up %d times, connected %d times, took %d events: no gap, none twice; %d restarts and %d resets in the logs",
		len(posts), readersOfRun, size.kills, left, came, events, restarts, resets)
	return texts
}

// compact makes snapshots of the tokens of a library that no server holds, as the server does an hour after the end.
func compact(t *testing.T, dir string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compact(t.Context(), time.Now().Add(time.Minute), 1000); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// reread reads each log once more: from its start, and from where readers once hung up.
func (v *victim) reread(ctx context.Context, posts []*writing, texts []string) {
	v.t.Helper()
	snapshots := 0
	for i, w := range posts {
		for _, rd := range append([]*reader{{}}, w.halves...) {
			if rd == nil {
				continue
			}
			from := rd.last
			v.readFrom(ctx, w.run, nil, rd)
			if got := rd.whole(); got != texts[i] || len(rd.problems) > 0 {
				v.t.Fatalf("run %d read from %d on: %d bytes, the draft has %d; %v", i, from, len(got), len(texts[i]), rd.problems)
			}
			snapshots += rd.kinds["snapshot"]
		}
	}
	if snapshots == 0 {
		v.t.Error("there is no snapshot in the logs")
	}
}
