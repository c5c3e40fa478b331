package agent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/runs"
)

// Finder asks a search engine of the web. It is safe for concurrent use, and asked once for each question of a run.
type Finder interface {
	Name() string
	// Find gives up to n places, the best first. It fails with a fault: web_search_failed, web_search_unauthorized or
	// web_search_limited.
	Find(ctx context.Context, query string, n int) ([]Found, error)
}

// Found is a place of the web that a finder names. Its words are the engine's and are never cited; the page's own are.
type Found struct {
	Title     string    `json:"title,omitempty"`
	URL       string    `json:"url"`
	Snippet   string    `json:"snippet,omitempty"`
	Published time.Time `json:"published,omitzero"`
}

// Keeper makes pages that a run found documents of its workspace; ingest.Snapshots is one.
type Keeper interface {
	// Snapshot gives the document when it can be found by words. It is fenced by the lease; the same bytes, or the same
	// address for the same run, give the same document.
	Snapshot(ctx context.Context, l runs.Lease, page document.Fetched) (document.Document, error)
}

// WebOptions bound what one Gather may cost. What is zero has a default.
type WebOptions struct {
	Parallel    int           // pages that are read at the same time; 4
	PerHost     int           // pages of one host at most; 2
	PageSize    int64         // bytes; 8 MB
	PageTimeout time.Duration // for fetching and reading one page; 45 s
}

// Web finds further sources on the web for runs that may search there. A nil Web, or one without finders, finds nothing and
// says so. It is safe for concurrent use.
//
// Only the queries that the writer makes, and the addresses that a search engine names for them, lead to the web. Nothing that
// stands in a document does.
type Web struct {
	finders   []Finder
	pages     document.Fetcher
	keeper    Keeper
	documents Documents
	o         WebOptions
}

// NewWeb makes it. The first finder is asked; the others are asked when those before them fail.
func NewWeb(finders []Finder, pages document.Fetcher, keeper Keeper, documents Documents, o WebOptions) *Web {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.PerHost <= 0 {
		o.PerHost = 2
	}
	if o.PageSize <= 0 {
		o.PageSize = 8 << 20
	}
	if o.PageTimeout <= 0 {
		o.PageTimeout = 45 * time.Second
	}
	return &Web{finders, pages, keeper, documents, o}
}

// The bounds of one Gather.
const (
	maxQueries   = 8
	maxPages     = 20
	usualPages   = 5
	findsPerPage = 3 // places asked for, and tried, for each page that is wanted
	longFind     = 400
)

// WebAllowed tells whether a run may search the web: its input says so, as a wish's brief or by itself.
func WebAllowed(input json.RawMessage) bool {
	var asked struct {
		Web      bool
		Brief    struct{ Web bool }
		Settings struct{ Web bool } // of a session
		Action   struct{ Name string }
	}
	return json.Unmarshal(input, &asked) == nil && (asked.Web || asked.Brief.Web || asked.Settings.Web || asked.Action.Name == intentWeb)
}

// Gather asks the queries, reads the best n pages (0: some) and keeps each as a document before anybody cites it. A run that
// may not search the web gets nothing. Whatever was asked or fetched is journalled, so that an attempt after a crash asks only
// for what is left. What could not be had is told as notices, sentences for people; an error is the run's own: its end, or a store
// that fails.
func (w *Web) Gather(ctx context.Context, job *runs.Job, queries []string, n int) ([]document.Document, []string, error) {
	if !WebAllowed(job.Run().Input) {
		return nil, nil, nil
	}
	if w == nil || len(w.finders) == 0 {
		return nil, []string{"The web was not searched: this installation has no search engine for it (TAVILY_API_KEY, BYLINE_SEARXNG_URL)."}, nil
	}
	if n <= 0 {
		n = usualPages
	}
	g := &gathering{Web: w, job: job, want: min(n, maxPages)}
	for _, q := range queries {
		q = clip(strings.Join(strings.Fields(q), " "), longFind)
		if q != "" && !slices.Contains(g.queries, q) && len(g.queries) < maxQueries {
			g.queries = append(g.queries, q)
		}
	}
	if err := g.find(ctx); err != nil {
		return nil, nil, err
	}
	if err := g.read(ctx); err != nil {
		return nil, nil, err
	}
	docs, err := w.documents.Named(ctx, job.Run().Workspace, g.ids)
	if err != nil {
		return nil, nil, fmt.Errorf("name pages: %w", err)
	}
	return docs, g.notices, nil
}

// gathering is one Gather under way.
type gathering struct {
	*Web
	job        *runs.Job
	want       int
	queries    []string
	candidates []Found
	ids        []string // documents, the best first
	notices    []string
}

// webAnswer is what the journal keeps of a query.
type webAnswer struct {
	Engine string  `json:"engine,omitempty"`
	Found  []Found `json:"found,omitempty"`
	Notice string  `json:"notice,omitempty"`
}

// toolEvent is the data of tool.called and tool.completed.
type toolEvent struct {
	Tool       string     `json:"tool"` // web_search, read_page
	Query      string     `json:"query,omitempty"`
	Engine     string     `json:"engine,omitempty"`
	URL        string     `json:"url,omitempty"`
	Found      []webPlace `json:"found,omitempty"`
	DocumentID string     `json:"document_id,omitempty"`
	Failed     string     `json:"failed,omitempty"` // why
}

type webPlace struct {
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

const (
	eventToolCalled    = "tool.called"
	eventToolCompleted = "tool.completed"
)

// find asks all queries and puts their places in one order: the best of each, then the second of each.
func (g *gathering) find(ctx context.Context) error {
	answers := make([]webAnswer, len(g.queries))
	err := eachOf(ctx, g.o.Parallel, len(g.queries), func(ctx context.Context, i int) (err error) {
		answers[i], err = g.ask(ctx, g.queries[i])
		return err
	})
	if err != nil {
		return err
	}
	seen, hosts := map[string]bool{}, map[string]int{}
	for rank := 0; ; rank++ {
		more := false
		for _, a := range answers {
			if rank >= len(a.Found) {
				continue
			}
			more = true
			f := a.Found[rank]
			key, host := placeOf(f.URL)
			if seen[key] || hosts[host] == g.o.PerHost {
				continue
			}
			seen[key] = true
			hosts[host]++
			g.candidates = append(g.candidates, f)
		}
		if !more {
			break
		}
	}
	for _, a := range answers {
		g.notice(a.Notice)
	}
	return nil
}

func (g *gathering) notice(text string) {
	if text != "" && !slices.Contains(g.notices, text) {
		g.notices = append(g.notices, text)
	}
}

// ask asks the finders one after the other until one answers.
func (g *gathering) ask(ctx context.Context, query string) (out webAnswer, err error) {
	n := g.want * findsPerPage
	err = g.job.Once(ctx, stepKey("web/find/", fmt.Sprint(n, " ", query)), &out, func(ctx context.Context) ([]runs.NewEvent, error) {
		if err := g.job.Emit(ctx, runs.NewEvent{Type: eventToolCalled, Data: toolEvent{Tool: "web_search", Query: query}}); err != nil {
			return nil, err
		}
		var failures []string
		for _, f := range g.finders {
			found, err := patiently(ctx, f, query, n)
			if err == nil {
				out = webAnswer{Engine: f.Name(), Found: usable(found, n)}
				break
			}
			say, mine := webFault(ctx, err)
			if !mine {
				return nil, err
			}
			failures = append(failures, f.Name()+": "+say)
		}
		done := toolEvent{Tool: "web_search", Query: query, Engine: out.Engine}
		for _, f := range out.Found {
			done.Found = append(done.Found, webPlace{f.Title, f.URL})
		}
		if out.Engine == "" {
			done.Failed = strings.Join(failures, " ")
			out.Notice = "The web was not searched. " + done.Failed
		}
		return []runs.NewEvent{{Type: eventToolCompleted, Data: done}}, nil
	})
	return out, err
}

// The retries of a finder that is busy or away for a moment.
const (
	maxFinds    = 3
	findAgain   = 500 * time.Millisecond
	longestWait = 10 * time.Second // that a finder may ask for; a run does not wait longer
)

// patiently asks a finder again when it is worth another try.
func patiently(ctx context.Context, f Finder, query string, n int) ([]Found, error) {
	for try := 1; ; try++ {
		found, err := f.Find(ctx, query, n)
		if err == nil {
			return found, nil
		}
		e := fault.Of(err)
		wait := max(e.RetryAfter, time.Duration(try)*findAgain)
		if e.Kind != fault.Limited && e.Kind != fault.Unavailable || try == maxFinds || wait > longestWait {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// read reads candidates, best first, until there are enough documents or nothing is left to try.
func (g *gathering) read(ctx context.Context) error {
	left := g.candidates[:min(len(g.candidates), g.want*findsPerPage)]
	for len(left) > 0 && len(g.ids) < g.want {
		wave := left[:min(len(left), g.want-len(g.ids))]
		left = left[len(wave):]
		pages := make([]webPage, len(wave))
		err := eachOf(ctx, g.o.Parallel, len(wave), func(ctx context.Context, i int) (err error) {
			pages[i], err = g.keep(ctx, wave[i].URL)
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range pages {
			if g.notice(p.Notice); p.DocumentID != "" && !slices.Contains(g.ids, p.DocumentID) {
				g.ids = append(g.ids, p.DocumentID)
			}
		}
	}
	return nil
}

// webPage is what the journal keeps of a page.
type webPage struct {
	DocumentID string `json:"document_id,omitempty"`
	Notice     string `json:"notice,omitempty"`
}

// keep makes one page a document.
func (g *gathering) keep(ctx context.Context, address string) (out webPage, err error) {
	err = g.job.Once(ctx, stepKey("web/page/", address), &out, func(ctx context.Context) ([]runs.NewEvent, error) {
		if err := g.job.Emit(ctx, runs.NewEvent{Type: eventToolCalled, Data: toolEvent{Tool: "read_page", URL: address}}); err != nil {
			return nil, err
		}
		d, err := g.snapshot(ctx, address)
		done := toolEvent{Tool: "read_page", URL: address, DocumentID: d.ID}
		if err == nil {
			out.DocumentID = d.ID
			return []runs.NewEvent{{Type: eventToolCompleted, Data: done}}, nil
		}
		say, mine := webFault(ctx, err)
		if !mine {
			return nil, err
		}
		out.Notice, done.Failed = fmt.Sprintf("%s was not read. %s", address, say), say
		return []runs.NewEvent{{Type: eventToolCompleted, Data: done}}, nil
	})
	return out, err
}

func (g *gathering) snapshot(ctx context.Context, address string) (document.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, g.o.PageTimeout)
	defer cancel()
	page, err := g.pages.Fetch(ctx, address, g.o.PageSize)
	if err != nil {
		return document.Document{}, err
	}
	defer page.Body.Close() //nolint:errcheck // it was read
	return g.keeper.Snapshot(ctx, g.job.Lease(), page)
}

// webFault gives what people are told of a failure of the web's; mine is false for one of our own, which ends the step.
func webFault(ctx context.Context, err error) (say string, mine bool) {
	if ctx.Err() != nil {
		return "", false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "It took too long.", true
	}
	f := fault.Of(err)
	switch f.Kind {
	case fault.Invalid, fault.Unsupported, fault.TooLarge, fault.NotFound, fault.Limited, fault.Unavailable:
		return f.Say, true
	}
	return "", false
}

// usable are places that can be asked for, cut to a size that fits the journal.
func usable(found []Found, n int) (list []Found) {
	const longTitle, longURL = 300, 2048
	for _, f := range found {
		u, err := url.Parse(f.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(f.URL) > longURL {
			continue
		}
		u.Fragment, u.RawFragment = "", ""
		f.URL = u.String()
		f.Title, f.Snippet = clip(strings.ToValidUTF8(f.Title, ""), longTitle), "" // words of a page are kept in its document only
		if list = append(list, f); len(list) == n {
			break
		}
	}
	return list
}

// placeOf gives what two addresses of one page have in common, and its host.
func placeOf(address string) (key, host string) {
	u, err := url.Parse(address)
	if err != nil {
		return address, address
	}
	host = strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
	q := u.Query()
	for k := range q {
		if strings.HasPrefix(k, "utm_") || k == "fbclid" || k == "gclid" {
			q.Del(k)
		}
	}
	return host + strings.TrimSuffix(u.EscapedPath(), "/") + "?" + q.Encode(), host
}

// stepKey names a step by what it is about, whatever its length.
func stepKey(kind, about string) string {
	h := fnv.New128a()
	h.Write([]byte(about))
	return kind + hex.EncodeToString(h.Sum(nil))
}

// eachOf does n things, some at a time, and waits for all; the first error ends the others.
func eachOf(ctx context.Context, parallel, n int, do func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			if err := do(ctx, i); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
