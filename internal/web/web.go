// Package web is how people with a browser reach Byline: the API's documentation and a plain page, all embedded.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// files holds what is written here (page) and what make web copied from npm (assets: name.gz, perhaps not there).
//
//go:embed page assets
var files embed.FS

// The policies of the pages: nothing is loaded from elsewhere, nothing is inline. ReDoc can't do without three exceptions:
// an empty style element that it fills by script and one with fixed content (both by their hash, which may change with
// its version: look at the page in a browser then), and the worker of its search.
const (
	common      = "default-src 'none'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	strict      = common + "; style-src 'self'"
	policyRedoc = common + "; worker-src blob:; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)

// mediaTypes by ending; the system's table is not asked, because it differs from machine to machine.
var mediaTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// asset is a file that never changes under its address, which has the hash of its content.
type asset struct {
	address   string // /assets/<hash>/<name>
	mediaType string
	data      []byte
	zipped    bool // data is gzip: nearly every reader takes it so
	// unzipped is for the others; it works once and keeps the result.
	unzipped func() []byte
}

// Site is the pages of one installation, ready to be mounted.
type Site struct {
	assets map[string]*asset // by name
	docs   page
	redoc  page
	home   page
}

// page is an HTML document with its policy.
type page struct {
	body   []byte
	etag   string
	policy string
}

// New prepares the pages. name is the installation's (APP_NAME).
func New(name string) (*Site, error) { return build(files, name) }

// build takes the place of New where a test has other files.
func build(files fs.FS, name string) (*Site, error) {
	s := &Site{assets: map[string]*asset{}}
	for _, dir := range []string{"page", "assets"} {
		if err := s.load(files, dir); err != nil {
			return nil, err
		}
	}
	var err error
	draw := func(file, policy string, needs ...string) (p page) {
		for _, n := range needs {
			if s.assets[n] == nil {
				file, policy = "missing.html", strict
			}
		}
		if err == nil {
			p, err = s.draw(files, file, name, policy)
		}
		return p
	}
	s.docs = draw("docs.html", strict, "swagger-ui.js", "swagger-ui.css")
	s.redoc = draw("redoc.html", policyRedoc, "redoc.js")
	s.home = draw("home.html", strict)
	return s, err
}

// load reads the assets of a directory.
func (s *Site) load(files fs.FS, dir string) error {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	for _, e := range entries {
		name, zipped := strings.CutSuffix(e.Name(), ".gz")
		mediaType := mediaTypes[path.Ext(name)]
		if mediaType == "" {
			continue
		}
		data, err := fs.ReadFile(files, path.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Name(), err)
		}
		sum := sha256.Sum256(data)
		s.assets[name] = &asset{
			address: "/assets/" + hex.EncodeToString(sum[:8]) + "/" + name, mediaType: mediaType, data: data, zipped: zipped,
			unzipped: sync.OnceValue(func() []byte { return unzip(data) }),
		}
	}
	return nil
}

// unzip gives what our own build has zipped.
func unzip(data []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(z) // the build's own test reads every asset to its end
	return plain
}

// draw fills a page's template once; what differs between readers is the scripts' work.
func (s *Site) draw(files fs.FS, file, name, policy string) (page, error) {
	var missing error
	t, err := template.New(file).Funcs(template.FuncMap{"asset": func(name string) string {
		if a := s.assets[name]; a != nil {
			return a.address
		}
		missing = fmt.Errorf("read %s: there is no asset %s", file, name)
		return ""
	}}).ParseFS(files, path.Join("page", file))
	if err != nil {
		return page{}, fmt.Errorf("read %s: %w", file, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, struct{ Name string }{name}); err != nil {
		return page{}, fmt.Errorf("draw %s: %w", file, err)
	}
	sum := sha256.Sum256(b.Bytes())
	return page{body: b.Bytes(), etag: `"` + hex.EncodeToString(sum[:8]) + `"`, policy: policy}, missing
}

// Mount puts the pages on a mux: the plain page at / and /setup, Swagger UI at /docs, ReDoc at /redoc.
func (s *Site) Mount(mux *http.ServeMux) {
	mux.Handle("GET /{$}", s.home)
	mux.Handle("GET /setup", s.home)
	mux.Handle("GET /docs", s.docs)
	mux.Handle("GET /redoc", s.redoc)
	mux.HandleFunc("GET /assets/{hash}/{name}", s.serveAsset)
}

// ServeHTTP answers with the page, or 304 when the reader has it.
func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.etag)
	h.Set("Content-Type", "text/html; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
}

func (s *Site) serveAsset(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	a := s.assets[r.PathValue("name")]
	if a == nil || a.address != r.URL.Path {
		h.Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, notFound) //nolint:errcheck // the reader has gone
		return
	}
	h.Set("Content-Type", a.mediaType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	etag, body := path.Base(path.Dir(a.address)), a.data
	if a.zipped {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			etag += "-gzip" // another representation has another tag
		} else {
			body = a.unzipped()
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

const notFound = `{"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"There is no such file. Load the page anew."}` + "\n"

// acceptsGzip reads Accept-Encoding as far as needed: gzip is named and not with a weight of zero.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !found || strings.Trim(q, "0.") != ""
		}
	}
	return false
}
