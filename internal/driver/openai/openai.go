// Package openai speaks to endpoints that are compatible with OpenAI's API: models that write, and embedders. Ollama is a preset of it.
//
// It needs three paths of that API: chat/completions, models and embeddings. Its client is net/http, and it decodes streams by
// itself; docs/adr/0012-models.md says why.
package openai

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/internal/llm"
)

// Options of an endpoint. Preset fills most of them.
type Options struct {
	Name    string // how it is called in Refs, in the meter and to people
	BaseURL string // with /v1 or what the provider has in its place
	Key     string // empty: none is sent
	KeyName string // the setting that holds it
	URLName string // the setting that holds the URL
	// ModelName is the setting that names the model; empty: DEFAULT_LLM_MODEL.
	ModelName string

	FirstToken time.Duration // before the first word
	Idle       time.Duration // between two words
	Total      time.Duration // of a whole answer; 0 has no end

	Context int // tokens that its models can hold; 0: what is known of each

	Missing   func(model string) string // what to do about a model that is not there, as a sentence behind a space
	Transport http.RoundTripper         // nil: one of its own
}

// OpenAIURL is OpenAI's own base.
const OpenAIURL = "https://api.openai.com/v1"

// OllamaURL is where Ollama listens if nobody said otherwise.
const OllamaURL = "http://127.0.0.1:11434"

// ollamaContext is what Ollama lets its models hold unless it is started otherwise, whatever they can: it cuts the beginning
// off what is longer, without a word.
const ollamaContext = 4096

// OpenAI is the preset for OpenAI itself and for every compatible service.
func OpenAI(baseURL, key string) Options {
	if baseURL == "" {
		baseURL = OpenAIURL
	}
	return Options{Name: "openai", BaseURL: baseURL, Key: key, KeyName: "OPENAI_API_KEY", URLName: "OPENAI_BASE_URL"}
}

// Ollama is the preset for Ollama.
func Ollama(baseURL string) Options {
	if baseURL == "" {
		baseURL = OllamaURL
	}
	return Options{Name: "ollama", BaseURL: baseURL, KeyName: "OLLAMA_BASE_URL", URLName: "OLLAMA_BASE_URL", Context: ollamaContext,
		Missing: func(model string) string { return " Fetch it with: ollama pull " + model }}
}

// Endpoint is a service. It is safe for concurrent use.
type Endpoint struct {
	o     Options
	base  *url.URL
	http  *http.Client
	mu    sync.Mutex
	ways  map[string]*dialect // model -> what it takes
	close func()
}

// NewTransport makes a transport for endpoints. They can share one.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64, // sections are written side by side
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // it would hold words back
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// proxy is the one of the environment, but never for what is on this machine or in this network: a model beside us is not
// asked through somebody else.
func proxy(r *http.Request) (*url.URL, error) {
	host := r.URL.Hostname()
	if !strings.Contains(host, ".") && !strings.Contains(host, ":") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal") {
		return nil, nil
	}
	if a, err := netip.ParseAddr(host); err == nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// New makes an endpoint. Nothing is connected yet.
func New(o Options) (*Endpoint, error) {
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is not the URL of a service", o.URLName)
	}
	if u.Path = strings.TrimRight(u.Path, "/"); u.Path == "" {
		u.Path = "/v1"
	}
	if o.Missing == nil {
		o.Missing = func(string) string {
			return " Set " + cmp.Or(o.ModelName, "DEFAULT_LLM_MODEL") + " to one that it has."
		}
	}
	e := &Endpoint{o: o, base: u, ways: map[string]*dialect{}, close: func() {}}
	if o.Transport == nil {
		t := NewTransport()
		o.Transport, e.close = t, t.CloseIdleConnections
	}
	e.http = &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return e, nil
}

// Name is how it is called.
func (e *Endpoint) Name() string { return e.o.Name }

// Close lets go of idle connections, if they are its own.
func (e *Endpoint) Close() { e.close() }

// Open gives a model by its name.
func (e *Endpoint) Open(name string) llm.Model { return &model{e, name} }

// Models lists the models that can write: those that are known for something else are left out.
func (e *Endpoint) Models(ctx context.Context) ([]string, error) {
	all, err := e.list(ctx)
	return slices.DeleteFunc(all, func(name string) bool { return !writes(name) }), err
}

// list gives the names of all models.
func (e *Endpoint) list(ctx context.Context) ([]string, error) {
	var out struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := e.call(ctx, http.MethodGet, "/models", nil, &out, ""); err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range out.Data {
		ids = append(ids, d.ID)
	}
	return ids, nil
}

// writes tells by its name whether a model can write.
func writes(name string) bool {
	name = strings.ToLower(name)
	for _, other := range []string{"embed", "whisper", "tts", "dall-e", "moderation", "rerank", "bge-", "minilm", "transcribe", "realtime", "gpt-image", "sora", "davinci-002", "babbage-002"} {
		if strings.Contains(name, other) {
			return false
		}
	}
	return true
}

// maxAnswer is the most that is read of an answer that is no stream, in bytes.
const maxAnswer = 64 << 20

// request makes a request; in is nil or written as JSON.
func (e *Endpoint) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		var b bytes.Buffer
		w := json.NewEncoder(&b)
		w.SetEscapeHTML(false)
		if err := w.Encode(in); err != nil {
			return nil, fmt.Errorf("write a request to %s: %w", e.o.Name, err)
		}
		body = &b
	}
	u := *e.base
	u.Path += path
	q, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make a request to %s: %w", e.o.Name, errors.New(e.hide(err.Error())))
	}
	if in != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	q.Header.Set("User-Agent", "Byline")
	if e.o.Key != "" {
		q.Header.Set("Authorization", "Bearer "+e.o.Key)
	}
	return q, nil
}

// call asks once for an answer that is no stream.
func (e *Endpoint) call(caller context.Context, method, path string, in, out any, model string) error {
	ctx, cancel := context.WithTimeoutCause(caller, e.o.FirstToken, errSlow)
	if e.o.FirstToken <= 0 {
		ctx, cancel = context.WithCancel(caller)
	}
	defer cancel()
	q, err := e.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	a, err := e.http.Do(q)
	if err != nil {
		return e.broken(caller, ctx, err, false)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return e.rejected(refused(a), model)
	}
	data, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer+1))
	switch {
	case err != nil:
		return e.broken(caller, ctx, err, true)
	case len(data) > maxAnswer:
		return e.garbled(fmt.Errorf("an answer of more than %d bytes", maxAnswer))
	}
	if err := json.Unmarshal(data, out); err != nil {
		return e.garbled(err)
	}
	return nil
}

// refused reads an answer that is no success.
func refused(a *http.Response) *refusal {
	const most = 64 << 10
	data, _ := io.ReadAll(io.LimitReader(a.Body, most)) // what is there tells enough
	r := &refusal{status: a.StatusCode, header: a.Header}
	var c chunk
	if c.read(data) && c.failure != nil {
		r.failure = *c.failure
		return r
	}
	var told struct{ Message, Detail string }
	if json.Unmarshal(data, &told) == nil && told.Message+told.Detail != "" {
		r.message = told.Message + told.Detail
		return r
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) && a.StatusCode != http.StatusNotFound {
		r.message = strings.ToValidUTF8(string(data), "")
	}
	return r
}
