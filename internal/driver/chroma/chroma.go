// Package chroma keeps vectors of passages in a Chroma server, as a search.Engine over its REST API v2.
//
// Each workspace has a collection of its own for each generation, because a filter costs Chroma some 20 times a plain
// query. Chroma finds no words: its lexical leg is refused, and the embedded engine answers that.
package chroma

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"byline/internal/fault"
	"byline/internal/search"
)

// Options of a connection; zero values choose what is said beside them.
type Options struct {
	Tenant   string // ?tenant= of the URL, then default_tenant
	Database string // ?database= of the URL, then default_database
	// Token is sent as "Authorization: Bearer ...", or alone in TokenHeader (Chroma's cloud wants X-Chroma-Token).
	// Without one, the user and password of the URL are sent as basic authentication.
	Token       string
	TokenHeader string
	TLS         *tls.Config   // the system's authorities
	Prefix      string        // of the collections, 1 to 9 letters and digits, so that installations can share a database; byline
	Timeout     time.Duration // of one request, if the caller's deadline isn't earlier; 30 s
	Attempts    int           // at a write; 4. A search has 2 at most: another engine is waiting.
}

// Engine is a Chroma server. It is safe for concurrent use.
type Engine struct {
	client *client
	prefix string

	mu          sync.Mutex
	serving     known[string]
	generations map[string]known[int]    // dims by generation
	collections map[string]known[string] // ids by name
	limits      known[limits]            // of the server
}

var _ search.Engine = (*Engine)(nil)

// The rules of Options.Prefix and of search.Generation.Name.
var (
	prefixRule     = regexp.MustCompile(`^[a-z0-9]{1,9}$`)
	generationRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
)

// New makes an engine of the server at a URL, such as http://127.0.0.1:8000 or https://user:password@host/path?tenant=t.
// It does not connect.
func New(rawURL string, o Options) (*Engine, error) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		// The text may hold a password, so it is not repeated.
		return nil, fault.New(fault.Invalid, "chroma_url", "The URL of Chroma has the form http://host:8000 or https://user:password@host/path.")
	}
	if o.Prefix == "" {
		o.Prefix = "byline"
	}
	if !prefixRule.MatchString(o.Prefix) {
		return nil, fault.New(fault.Invalid, "chroma_prefix", "The prefix of Chroma's collections is 1 to 9 lower-case letters and digits, not %q.", o.Prefix)
	}
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	c := &client{
		root:     strings.TrimSuffix((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), "/") + "/api/v2",
		tenant:   first(o.Tenant, u.Query().Get("tenant"), "default_tenant"),
		database: first(o.Database, u.Query().Get("database"), "default_database"),
		header:   http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}},
		timeout:  o.Timeout,
		attempts: o.Attempts,
	}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	if c.attempts <= 0 {
		c.attempts = 4
	}
	switch password, _ := u.User.Password(); {
	case o.Token != "" && o.TokenHeader != "":
		c.header.Set(o.TokenHeader, o.Token)
	case o.Token != "":
		c.header.Set("Authorization", "Bearer "+o.Token)
	case u.User != nil:
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(u.User.Username(), password)
		c.header.Set("Authorization", r.Header.Get("Authorization"))
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:     o.TLS,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: connections,
			MaxConnsPerHost:     connections,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		// What stands at another address gets neither our header nor our passages.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Engine{
		client: c, prefix: o.Prefix,
		generations: map[string]known[int]{}, collections: map[string]known[string]{},
	}, nil
}

// connections to the server at a time; more requests wait for one.
const connections = 32

// Lexical is refused: Chroma holds no words.
func (e *Engine) Lexical(context.Context, search.Query) (search.Found, error) {
	return search.Found{}, fault.Bad("body.mode", "lexical_unavailable", "Chroma holds vectors only. The embedded engine searches by words.")
}

// Info asks whether the server answers.
func (e *Engine) Info(ctx context.Context) (search.Info, error) {
	if err := e.client.do(ctx, request{method: http.MethodGet, path: "/heartbeat", attempts: 1}, nil); err != nil {
		return search.Info{}, fmt.Errorf("ask Chroma for its heartbeat: %w", err)
	}
	return search.Info{Engine: "chroma"}, nil
}

// Close gives the connections back.
func (e *Engine) Close() error {
	e.client.http.CloseIdleConnections()
	return nil
}
