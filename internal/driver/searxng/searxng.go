// Package searxng finds pages of the web with a SearXNG server.
package searxng

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"byline/internal/agent"
	"byline/internal/fault"
)

// Finder asks a SearXNG server. It is safe for concurrent use.
type Finder struct {
	base   *url.URL
	client *http.Client
}

var _ agent.Finder = (*Finder)(nil)

// New makes a finder of the server at an address, which may hold a user and a password. It asks for nothing. The address is
// the operator's word, so it may be a private one; the server must not send us anywhere else.
func New(address string) (*Finder, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fault.New(fault.Invalid, "bad_configuration", "BYLINE_SEARXNG_URL is not a URL.").Because(err)
	}
	u.Path, u.RawPath, u.RawQuery, u.Fragment = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/search"), "", "", ""
	return &Finder{base: u, client: &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

const (
	timeout   = 20 * time.Second
	maxAnswer = 8 << 20 // bytes
)

// Name meets agent.Finder.
func (f *Finder) Name() string { return "SearXNG" }

type answer struct {
	Results []struct {
		Title     string `json:"title"`
		URL       string `json:"url"`
		Content   string `json:"content"`
		Published string `json:"publishedDate"` // null for most
	} `json:"results"`
	Unresponsive []json.RawMessage `json:"unresponsive_engines"`
}

// Find meets agent.Finder. SearXNG gives a page of results, whatever n is; the rest is left out.
func (f *Finder) Find(ctx context.Context, query string, n int) ([]agent.Found, error) {
	resp, err := f.get(ctx, "/search", url.Values{"q": {query}, "format": {"json"}, "categories": {"general"}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil || len(b) > maxAnswer {
		return nil, failed("Its answer cannot be read; is BYLINE_SEARXNG_URL the address of a SearXNG server?").Because(err)
	}
	if len(a.Results) == 0 && len(a.Unresponsive) > 0 {
		return nil, failed("None of the engines that it asks answered.")
	}
	found := make([]agent.Found, 0, min(len(a.Results), n))
	for _, r := range a.Results {
		if len(found) == n {
			break
		}
		found = append(found, agent.Found{Title: r.Title, URL: r.URL, Snippet: r.Content, Published: dateOf(r.Published)})
	}
	return found, nil
}

func (f *Finder) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := *f.base
	u.Path, u.RawQuery = u.Path+path, query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	return resp, nil
}

// dateOf reads a date as SearXNG writes it, with or without a zone; zero when there is none.
func dateOf(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func failed(say string, args ...any) *fault.Error {
	return fault.New(fault.Unavailable, "web_search_failed", "SearXNG did not search the web. "+say, args...)
}

func unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return failed("It cannot be reached, or did not answer in time.").Because(err)
}

// refusal names what an answer with another status than 200 means.
func refusal(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusForbidden:
		return fault.New(fault.Invalid, "web_search_unauthorized", "SearXNG does not give its results as JSON. Add json to search.formats in its settings.yml.")
	case http.StatusUnauthorized:
		return fault.New(fault.Invalid, "web_search_unauthorized", "SearXNG asks for a user and a password. Put them into BYLINE_SEARXNG_URL.")
	case http.StatusTooManyRequests:
		e := fault.New(fault.Limited, "web_search_limited", "SearXNG is asked too often: its limiter has to let this server pass (limiter.toml).")
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			e.RetryAfter = time.Duration(n) * time.Second
		}
		return e
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) //nolint:errcheck // as much as there is, for the log
	return failed("It answered with the status %d.", resp.StatusCode).Because(fmt.Errorf("answer: %q", b))
}

// Check tells whether the server can be reached.
func (f *Finder) Check(ctx context.Context) error {
	resp, err := f.get(ctx, "/healthz", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	if resp.StatusCode >= 500 {
		return failed("It answered with the status %d.", resp.StatusCode)
	}
	return nil
}
