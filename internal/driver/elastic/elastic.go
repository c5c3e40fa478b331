// Package elastic keeps words and vectors of passages in Elasticsearch 8 or 9 or in OpenSearch 3, as a search.Engine.
//
// It uses only what all of them have. Terms are made by engine/lexical and indexed as they are (the whitespace analyzer),
// ids are ours, and nothing of a question is ever read as syntax: its terms are values of term queries. All workspaces share
// an index for each generation; every request names its workspace in a filter. BM25 counts documents of the whole index, so
// that a word's weight is that of all workspaces together; coverage is by the workspace's own counts.
package elastic

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"byline/internal/fault"
	"byline/internal/search"
)

// Options of a connection; zero values choose what is said beside them.
type Options struct {
	// URLs of the cluster's nodes, separated by commas: https://user:password@one:9200,https://two:9200. The user is that of
	// all of them. A node that fails is left alone for a while, the others are asked instead.
	URLs     string
	APIKey   string        // in its encoded form; it wins over the URLs' user
	CAFile   string        // a PEM file of authorities beside those of the system
	Prefix   string        // of the indexes, 1 to 20 letters and digits, so that installations can share a cluster; byline
	Timeout  time.Duration // of one request, if the caller's deadline isn't earlier; 30 s
	Attempts int           // at a write; 4. A search has 2 at most: another engine is waiting.
}

// Engine is a cluster. It is safe for concurrent use.
type Engine struct {
	client *client
	prefix string
	// scoreless is set when the server can't put exact scores to what it finds by codes (Elasticsearch before 8.18).
	scoreless atomic.Bool

	mu          sync.Mutex
	serving     known[generation]
	generations map[string]known[generation] // by name
}

var _ search.Engine = (*Engine)(nil)

// The rules of Options.Prefix and of search.Generation.Name.
var (
	prefixRule     = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	generationRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
)

// connections to a node at a time; more requests wait for one.
const connections = 32

// Open makes an engine of a cluster. It does not connect.
func Open(o Options) (*Engine, error) {
	o.Prefix = cmp.Or(o.Prefix, "byline")
	if !prefixRule.MatchString(o.Prefix) {
		return nil, fault.New(fault.Invalid, "elasticsearch_prefix", "The prefix of Elasticsearch's indexes is 1 to 20 lower-case letters and digits, not %q.", o.Prefix)
	}
	urls, user, err := nodesOf(o.URLs)
	if err != nil {
		return nil, err
	}
	authorities, err := authoritiesOf(o.CAFile)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: authorities},
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: connections,
		MaxConnsPerHost:     connections,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	c := &client{
		network: t, timeout: o.Timeout, attempts: o.Attempts,
		header: http.Header{"Accept": {"application/json"}},
	}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	if c.attempts <= 0 {
		c.attempts = 4
	}
	switch {
	case o.APIKey != "":
		c.header.Set("Authorization", "ApiKey "+o.APIKey)
	case user != nil:
		password, _ := user.Password()
		r := http.Request{Header: c.header}
		r.SetBasicAuth(user.Username(), password)
	}
	n := &nodes{send: c.overNetwork}
	options := []elastictransport.Option{
		elastictransport.WithURLs(urls...),
		elastictransport.WithUserAgent("byline"),
		elastictransport.WithTransport(n),
		elastictransport.WithConnectionPoolFunc(n.pool),
	}
	if len(urls) == 1 { // nobody else to ask at once
		options = append(options, elastictransport.WithDisableRetry())
	} else {
		options = append(options,
			elastictransport.WithRetry(len(urls)-1, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout),
			elastictransport.WithRetryOnError(func(r *http.Request, _ error) bool { return r.Context().Err() == nil }))
	}
	if c.transport, err = elastictransport.NewClient(options...); err != nil {
		return nil, fmt.Errorf("make a client of Elasticsearch: %w", err)
	}
	return &Engine{client: c, prefix: o.Prefix, generations: map[string]known[generation]{}}, nil
}

// nodesOf reads a list of URLs. They come back without their user.
func nodesOf(list string) (urls []*url.URL, user *url.Userinfo, err error) {
	for s := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			// The text may hold a password, so it is not repeated.
			return nil, nil, fault.New(fault.Invalid, "elasticsearch_url", "The URL of Elasticsearch has the form http://host:9200 or https://user:password@host:9200; several are separated by commas.")
		}
		switch {
		case u.User == nil:
		case user == nil:
			user = u.User
		case *user != *u.User:
			return nil, nil, fault.New(fault.Invalid, "elasticsearch_url", "The URLs of Elasticsearch name different users. All nodes of a cluster know the same ones: name one user.")
		}
		urls = append(urls, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")})
	}
	return urls, user, nil
}

// authoritiesOf reads a PEM file; nil are those of the system.
func authoritiesOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	bad := fault.New(fault.Invalid, "elasticsearch_ca", "The file %s has no certificates of authorities for Elasticsearch that can be read.", file)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, bad.Because(err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // not every system has some
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, bad
	}
	return pool, nil
}

// Info asks whether the index that serves can be searched, which tells more than a node's name, and is allowed to those who
// may search. A cluster that has not been filled yet is well.
func (e *Engine) Info(ctx context.Context) (search.Info, error) {
	in := map[string]any{"size": 0, "track_total_hits": false, "terminate_after": 1}
	if _, err := e.ask(ctx, e.prefix, in); err != nil && !refused(err, http.StatusNotFound) {
		return search.Info{}, fmt.Errorf("ask Elasticsearch how it is: %w", err)
	}
	return search.Info{Engine: "elasticsearch"}, nil
}

// Close gives the connections back.
func (e *Engine) Close() error {
	err := e.client.transport.Close(context.Background())
	e.client.network.CloseIdleConnections()
	return err
}
