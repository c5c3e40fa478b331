package elastic

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// nodes takes turns among a cluster's nodes, and leaves those alone that fail. The transport's own pool would also blame a
// node for callers who went away.
type nodes struct {
	send func(*http.Request) (*http.Response, error)

	mu   sync.Mutex
	all  []*node
	next int // whose turn it is
}

type node struct {
	connection *elastictransport.Connection
	failures   int       // in a row
	until      time.Time // it is left alone
}

// A node that failed once is left alone for firstRest, then for twice as long each time, up to maxRest.
const (
	firstRest = time.Second
	maxRest   = 30 * time.Second
)

var _ elastictransport.ConcurrentSafeConnectionPool = (*nodes)(nil)

// pool takes the connections over, once.
func (n *nodes) pool(list []*elastictransport.Connection, _ elastictransport.Selector) elastictransport.ConnectionPool {
	for _, c := range list {
		n.all = append(n.all, &node{connection: c})
	}
	return n
}

// Next gives the node whose turn it is, or when all have failed the one that rested longest.
func (n *nodes) Next() (*elastictransport.Connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	best := n.all[n.next%len(n.all)]
	for i := range n.all {
		at := (n.next + i) % len(n.all)
		if c := n.all[at]; !now.Before(c.until) {
			n.next = at + 1
			return c.connection, nil
		} else if c.until.Before(best.until) {
			best = c
		}
	}
	return best.connection, nil
}

// RoundTrip sends a request to the node of its URL, and learns from what comes of it.
func (n *nodes) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := n.send(r)
	if err != nil && errors.Is(r.Context().Err(), context.Canceled) {
		return a, err // the caller has gone, which says nothing of the node
	}
	failed := err != nil
	if !failed {
		switch a.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			failed = true
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.all {
		switch {
		case c.connection.URL.Host != r.URL.Host:
		case failed:
			c.until = time.Now().Add(min(maxRest, firstRest<<min(c.failures, 10)))
			c.failures++
		default:
			c.failures, c.until = 0, time.Time{}
		}
	}
	return a, err
}

// ConcurrentSafe says that the pool needs no lock around it.
func (n *nodes) ConcurrentSafe() {}

// OnSuccess is nothing: RoundTrip knows.
func (n *nodes) OnSuccess(*elastictransport.Connection) error { return nil }

// OnFailure is nothing: RoundTrip knows, and why.
func (n *nodes) OnFailure(*elastictransport.Connection) error { return nil }

// URLs of all nodes.
func (n *nodes) URLs() []*url.URL {
	list := make([]*url.URL, len(n.all))
	for i, c := range n.all {
		list[i] = c.connection.URL
	}
	return list
}
