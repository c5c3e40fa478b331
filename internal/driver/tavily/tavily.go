// Package tavily finds pages of the web with Tavily's search API.
package tavily

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"byline/internal/agent"
	"byline/internal/fault"
)

// DefaultURL is Tavily's own.
const DefaultURL = "https://api.tavily.com"

// Finder asks Tavily. It is safe for concurrent use.
type Finder struct {
	url    string
	key    string
	client *http.Client
}

var _ agent.Finder = (*Finder)(nil)

// New makes a finder; an empty base is DefaultURL. It asks for nothing.
func New(base, key string) *Finder {
	if base == "" {
		base = DefaultURL
	}
	return &Finder{url: strings.TrimRight(base, "/"), key: key, client: &http.Client{
		Timeout: timeout,
		// The key must not go anywhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

const (
	timeout   = 20 * time.Second
	maxAnswer = 8 << 20 // bytes
	maxResult = 20      // what Tavily gives at most
)

// Name meets agent.Finder.
func (f *Finder) Name() string { return "Tavily" }

type request struct {
	Query      string `json:"query"`
	MaxResults int    `json:"max_results"`
	Depth      string `json:"search_depth"`
}

type answer struct {
	Results []struct {
		Title     string `json:"title"`
		URL       string `json:"url"`
		Content   string `json:"content"`
		Published string `json:"published_date"` // of news only
	} `json:"results"`
}

// Find meets agent.Finder.
func (f *Finder) Find(ctx context.Context, query string, n int) ([]agent.Found, error) {
	body, err := json.Marshal(request{query, max(1, min(n, maxResult)), "basic"})
	if err != nil {
		return nil, fmt.Errorf("write query: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/search", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
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
		return nil, failed("Its answer cannot be read.").Because(err)
	}
	found := make([]agent.Found, 0, len(a.Results))
	for _, r := range a.Results {
		found = append(found, agent.Found{Title: r.Title, URL: r.URL, Snippet: r.Content, Published: dateOf(r.Published)})
	}
	return found, nil
}

// dateOf reads a date as Tavily writes it; zero when there is none.
func dateOf(s string) time.Time {
	for _, layout := range []string{time.RFC1123, time.RFC1123Z, time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func failed(say string, args ...any) *fault.Error {
	return fault.New(fault.Unavailable, "web_search_failed", "Tavily did not search the web. "+say, args...)
}

func unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return failed("It cannot be reached, or did not answer in time.").Because(err)
}

// The statuses that Tavily has beside those of HTTP.
const (
	planUsedUp  = 432 // the credits of the plan or of the key
	limitOfPays = 433 // the limit of a plan that is paid as it is used
)

// refusal names what an answer with another status than 200 means.
func refusal(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Invalid, "web_search_unauthorized", "Tavily does not accept the key. Look at TAVILY_API_KEY.")
	case planUsedUp, limitOfPays:
		return fault.New(fault.Invalid, "web_search_limited", "The searches that Tavily allows for this key are used up. Look at the plan of TAVILY_API_KEY.")
	case http.StatusTooManyRequests:
		e := fault.New(fault.Limited, "web_search_limited", "Tavily is asked too often. Try again later.")
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
		return e
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return fault.New(fault.Invalid, "web_search_failed", "Tavily did not search the web: it does not accept the query.").Because(excerpt(resp.Body))
	}
	return failed("It answered with the status %d.", resp.StatusCode).Because(excerpt(resp.Body))
}

// excerpt is the beginning of an answer, for the log.
func excerpt(r io.Reader) error {
	b, _ := io.ReadAll(io.LimitReader(r, 500)) //nolint:errcheck // as much as there is
	return fmt.Errorf("answer: %q", b)
}

// retryAfter reads seconds or a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}
