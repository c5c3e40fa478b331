// Package webpage fetches pages of the public web, and refuses to be sent anywhere else.
//
// Addresses come from people, from search engines and from other pages' redirects, so none is believed (server-side request
// forgery). Names are resolved here, every address that they have is looked at, and the connection is made to the one that
// was looked at, so that a name whose answer changes gains nothing. Each redirect begins anew. There are no cookies, no
// proxy of the environment, and nothing of the asker in the request. robots.txt is honoured.
package webpage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"

	"byline/internal/document"
	"byline/internal/fault"
)

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options of a Fetcher. What is zero has a default.
type Options struct {
	Version  string        // of the program, for its name in requests
	Allow    []string      // host:port that may be asked although it is not on the public web
	Timeout  time.Duration // for all of one fetch, its body included; default 1 minute
	Resolver Resolver
	Log      *slog.Logger
}

// Fetcher fetches pages. It is safe for concurrent use and keeps no connection open.
type Fetcher struct {
	allow    map[string]bool // host:port in canonical form
	agent    string
	timeout  time.Duration
	resolver Resolver
	client   *http.Client
	log      *slog.Logger

	mu     sync.Mutex
	robots map[string]remembered // by origin
}

type remembered struct {
	robots
	until time.Time
}

// The limits of a fetch.
const (
	defaultTimeout = time.Minute
	headerTimeout  = 15 * time.Second
	dialTimeout    = 5 * time.Second
	maxRedirects   = 5
	maxAddresses   = 8        // of a name that are tried
	maxHeader      = 64 << 10 // bytes
	maxRobots      = 500 << 10
	maxText        = 16 << 20 // bytes of a page of text: it is looked at in memory
	robotsLife     = time.Hour
	robotsRetry    = time.Minute // of a robots.txt that could not be read
	robotsKept     = 1000
)

// agentName is what robots.txt calls us.
const agentName = "Byline"

// New makes a fetcher. It asks for nothing.
func New(o Options) (*Fetcher, error) {
	f := &Fetcher{allow: map[string]bool{}, timeout: o.Timeout, resolver: o.Resolver, log: o.Log, robots: map[string]remembered{}}
	if f.timeout <= 0 {
		f.timeout = defaultTimeout
	}
	if f.resolver == nil {
		f.resolver = net.DefaultResolver
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	version := o.Version
	if version == "" {
		version = "1"
	}
	f.agent = "Mozilla/5.0 (compatible; " + agentName + "/" + version + "; reads pages to cite them; honours robots.txt)"
	for _, entry := range o.Allow {
		host, port, err := net.SplitHostPort(entry)
		if err == nil {
			host, err = canonicalHost(host)
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "bad_configuration", "BYLINE_FETCH_ALLOW: %q is not a host with a port such as wiki.example:8080.", entry).Because(err)
		}
		f.allow[net.JoinHostPort(host, port)] = true
	}
	f.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // each hop is looked at here
		Transport: &http.Transport{
			Proxy:       nil, // a proxy would resolve names itself
			DialContext: f.dial, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headerTimeout,
			MaxResponseHeaderBytes: maxHeader, DisableKeepAlives: true,
		},
	}
	return f, nil
}

// dial connects to an address that it has looked at.
func (f *Fetcher) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	allowed := f.allow[net.JoinHostPort(host, port)]
	addrs, err := f.resolve(ctx, host, allowed)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if !allowed && !public(a) {
			f.log.Warn("fetch refused", "host", host, "address", a.String())
			return nil, notPublic(host)
		}
	}
	d := net.Dialer{Timeout: dialTimeout}
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		var c net.Conn
		if c, err = d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (f *Fetcher) resolve(ctx context.Context, host string, allowed bool) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	name := host
	if !allowed { // the dot at its end keeps the resolver from putting the own domain behind the name
		name += "."
	}
	addrs, err := f.resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// Fetch asks for a page and gives it with its body open; limit is the most that the body may have, in bytes. What is wrong
// is a fault: url_refused, robots_refused, fetch_failed, unsupported_type, or, while the body is read, file_too_large.
func (f *Fetcher) Fetch(ctx context.Context, address string, limit int64) (document.Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	page, err := f.fetch(ctx, address, limit)
	if err != nil {
		cancel()
		return document.Fetched{}, err
	}
	page.Body = &body{ReadCloser: page.Body, ctx: ctx, left: limit, limit: limit, done: cancel, host: hostOf(page.URL)}
	if isText(mediaType(page.ContentType)) {
		if err := decoded(&page); err != nil {
			page.Body.Close()
			return document.Fetched{}, err
		}
	}
	return page, nil
}

func (f *Fetcher) fetch(ctx context.Context, address string, limit int64) (document.Fetched, error) {
	t, err := f.parse(address)
	if err != nil {
		return document.Fetched{}, err
	}
	resp, t, err := f.follow(ctx, t, f.welcome)
	if err != nil {
		return document.Fetched{}, err
	}
	page := document.Fetched{URL: t.url.String(), ContentType: resp.Header.Get("Content-Type"), FetchedAt: time.Now().UTC().Truncate(time.Second), Body: resp.Body}
	if err := acceptable(resp, t, limit); err != nil {
		resp.Body.Close()
		return document.Fetched{}, err
	}
	page.Filename = filename(t.url, mediaType(page.ContentType))
	return page, nil
}

// follow asks for an address and goes where it is sent, at most maxRedirects times. allowed is asked before each request.
func (f *Fetcher) follow(ctx context.Context, t target, allowed func(context.Context, target) error) (*http.Response, target, error) {
	for hop := 0; ; hop++ {
		if err := allowed(ctx, t); err != nil {
			return nil, t, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), nil)
		if err != nil {
			return nil, t, refused("it cannot be read as a URL").Because(err)
		}
		req.Header.Set("User-Agent", f.agent)
		req.Header.Set("Accept", "text/html, application/xhtml+xml, application/pdf;q=0.9, text/markdown;q=0.9, text/plain;q=0.8, */*;q=0.1")
		resp, err := f.client.Do(req)
		if err != nil {
			return nil, t, failed(ctx, t.host, err)
		}
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, t, nil
		}
		resp.Body.Close()
		if hop == maxRedirects {
			return nil, t, fetchFailed("%s sends its visitors on more than %d times", t.host, maxRedirects)
		}
		to, err := t.url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" {
			return nil, t, fetchFailed("%s sends its visitors to an address that cannot be read", t.host)
		}
		if t, err = f.parse(to.String()); err != nil {
			return nil, t, err
		}
	}
}

// welcome asks the site's robots.txt.
func (f *Fetcher) welcome(ctx context.Context, t target) error {
	r, err := f.robotsOf(ctx, t)
	if err != nil {
		return err
	}
	path := t.url.EscapedPath()
	if t.url.RawQuery != "" {
		path += "?" + t.url.RawQuery
	}
	if !r.allows(path) {
		return fault.Bad("body.url", "robots_refused", "%s asks programs not to read this page (robots.txt). Save it in your browser and upload the file.", t.host)
	}
	return nil
}

func (f *Fetcher) robotsOf(ctx context.Context, t target) (robots, error) {
	origin := t.origin()
	f.mu.Lock()
	known, ok := f.robots[origin]
	f.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.robots, nil
	}
	at := t
	at.url = &url.URL{Scheme: t.url.Scheme, Host: t.url.Host, Path: "/robots.txt"}
	r, life, err := f.readRobots(ctx, at)
	if err != nil {
		return robots{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.robots) >= robotsKept {
		clear(f.robots)
	}
	f.robots[origin] = remembered{r, time.Now().Add(life)}
	return r, nil
}

// readRobots: a site without the file has no wishes; one that cannot be asked for it is left alone (RFC 9309, 2.3.1). An
// error is what the page itself would meet too: a refused address, or a site that is not there.
func (f *Fetcher) readRobots(ctx context.Context, t target) (robots, time.Duration, error) {
	resp, _, err := f.follow(ctx, t, func(context.Context, target) error { return nil })
	if err != nil {
		return robots{}, 0, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return closedRobots, robotsRetry, nil
	case resp.StatusCode != http.StatusOK:
		return openRobots, robotsLife, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRobots))
	if err != nil {
		return robots{}, 0, failed(ctx, t.host, err)
	}
	return parseRobots(string(bytes.TrimPrefix(text, []byte(mark))), agentName), robotsLife, nil
}

// endings are what is fetched, and the endings of files of those types.
var endings = map[string]string{
	"text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf", "application/x-pdf": ".pdf",
	"text/plain": ".txt", "text/markdown": ".md", "text/x-markdown": ".md",
}

// opaque types say nothing about their content; its bytes will tell.
var opaque = map[string]bool{"": true, "application/octet-stream": true, "binary/octet-stream": true, "application/force-download": true}

// acceptable tells what is wrong with an answer before its body is read.
func acceptable(resp *http.Response, t target, limit int64) error {
	switch {
	case resp.StatusCode != http.StatusOK:
		return fetchFailed("%s answered with the status %d (%s)", t.host, resp.StatusCode, http.StatusText(resp.StatusCode))
	case resp.ContentLength > limit:
		return document.TooLarge(limit)
	case resp.Header.Get("Content-Encoding") != "": // gzip, the only one that was asked for, is taken off already
		return fetchFailed("%s sends the page in a form that was not asked for", t.host)
	}
	media := mediaType(resp.Header.Get("Content-Type"))
	if endings[media] == "" && !opaque[media] {
		return fault.New(fault.Unsupported, "unsupported_type", "What is at this address is of the type %s, which cannot be read by this version. Web pages, PDFs, Markdown and plain text can.", shortened(media))
	}
	return nil
}

func mediaType(contentType string) string {
	m, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		m, _, _ = strings.Cut(contentType, ";")
	}
	return strings.ToLower(strings.TrimSpace(m))
}

func shortened(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	return strings.ToValidUTF8(s, "")
}

func isText(media string) bool {
	end := endings[media]
	return end != "" && end != ".pdf"
}

// maxEnding is the longest ending of a name, with its dot, in bytes.
const maxEnding = 9

// filename names a page for people, with the ending of what it is: example.org-post.html.
func filename(u *url.URL, media string) string {
	name := strings.TrimPrefix(u.Hostname(), "www.")
	last := strings.NewReplacer("/", "-", `\`, "-").Replace(path.Base(u.Path))
	ending := path.Ext(last)
	if len(ending) <= maxEnding && !strings.Contains(ending, " ") {
		last = strings.TrimSuffix(last, ending)
	}
	if want := endings[media]; want != "" && (want != ".txt" || ending != ".md" && ending != ".markdown") {
		ending = want
	}
	if last = strings.Trim(last, "-. "); last != "" {
		name += "-" + last
	}
	return name + ending
}

// mark is the byte order mark of UTF-8.
const mark = "\xEF\xBB\xBF"

// decoded makes a text whose encoding only the header names into UTF-8 with a mark: a file has no header.
func decoded(page *document.Fetched) error {
	_, params, _ := mime.ParseMediaType(page.ContentType)
	enc, err := htmlindex.Get(params["charset"])
	if err != nil { // none is named, or one that nobody knows: the bytes will tell
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(page.Body, maxText+1))
	if err != nil {
		return err
	}
	if len(b) > maxText {
		return document.TooLarge(maxText)
	}
	name, _ := htmlindex.Name(enc)
	if !marked(b) && name != "utf-8" && (!utf8.Valid(b) || name == "iso-2022-jp" || bytes.IndexByte(b, 0) >= 0) {
		if out, err := enc.NewDecoder().Bytes(b); err == nil {
			b = append([]byte(mark), out...)
		}
	}
	page.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(b), page.Body}
	return nil
}

func marked(b []byte) bool {
	return bytes.HasPrefix(b, []byte(mark)) || bytes.HasPrefix(b, []byte("\xFE\xFF")) || bytes.HasPrefix(b, []byte("\xFF\xFE"))
}

// body counts what is read, after decompression, and names what goes wrong.
type body struct {
	io.ReadCloser
	ctx   context.Context
	left  int64
	limit int64
	done  func()
	host  string
}

func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, document.TooLarge(b.limit)
	}
	if err != nil && err != io.EOF {
		err = failed(b.ctx, b.host, err)
	}
	return n, err
}

func (b *body) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

func fetchFailed(say string, args ...any) *fault.Error {
	return fault.Bad("body.url", "fetch_failed", "The page could not be fetched: %s.", fmt.Sprintf(say, args...))
}

// failed names what went wrong with a connection. An error that is named already, and the asker's own end, stay what they are.
func failed(ctx context.Context, host string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	say := "the connection to %s failed"
	var netErr net.Error
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dns.IsNotFound:
		say = "there is no host %s"
	case isDNS:
		say = "the address of %s could not be looked up"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout():
		say = "%s did not answer in time"
	}
	return fetchFailed(say, host).Because(err)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the host"
	}
	return u.Hostname()
}
