package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"byline/internal/web"
)

// site mounts pages made from our own files, with these assets instead of those that make web may have put there.
func site(t *testing.T, assets map[string]string) *http.ServeMux {
	t.Helper()
	files := fstest.MapFS{"assets/README.md": {Data: []byte("not an asset")}}
	for name, text := range web.Pages(t) {
		files["page/"+name] = &fstest.MapFile{Data: text}
	}
	for name, text := range assets {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		files["assets/"+name+".gz"] = &fstest.MapFile{Data: b.Bytes()}
	}
	s, err := web.Build(files, `Tom & "Jerry"`)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Mount(mux)
	return mux
}

var npm = map[string]string{"swagger-ui.js": "swagger()", "swagger-ui.css": "body{}", "redoc.js": "redoc()", "redoc-license.txt": "MIT"}

func get(h http.Handler, path string, headers ...string) *http.Response {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var address = regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`)

func TestPagesLoadOnlyWhatIsHere(t *testing.T) {
	rows := []struct{ name, path, title string }{
		{"plain page", "/", "<title>Tom &amp; &#34;Jerry&#34;</title>"},
		{"plain page by the link that serve prints", "/setup", `id="gate"`},
		{"Swagger UI", "/docs", "swagger-ui.js"},
		{"ReDoc", "/redoc", "redoc-start.js"},
	}
	mux := site(t, npm)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := get(mux, row.path)
			page := body(t, r)
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page, row.title) {
				t.Fatalf("%d %s:\n%s", r.StatusCode, r.Header.Get("Content-Type"), page)
			}
			policy := r.Header.Get("Content-Security-Policy")
			if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
				t.Errorf("policy %s", policy)
			}
			if bad := regexp.MustCompile(`https?://|<script>| style="| on[a-z]+="|<style`).FindString(page); bad != "" {
				t.Errorf("the page has %q, which its policy forbids", bad)
			}
			found := address.FindAllStringSubmatch(page, -1)
			if len(found) < 3 {
				t.Errorf("found only %d assets", len(found))
			}
			for _, f := range found {
				a := get(mux, f[1])
				if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || body(t, a) == "" {
					t.Errorf("%s: %d %s", f[1], a.StatusCode, a.Header.Get("Cache-Control"))
				}
			}
			if again := get(mux, row.path, "If-None-Match", r.Header.Get("ETag")); again.StatusCode != 304 || body(t, again) != "" {
				t.Errorf("with its own ETag: %d", again.StatusCode)
			}
		})
	}
}

func TestWithoutNodePagesSayHowToGetThem(t *testing.T) {
	mux := site(t, nil)
	for _, path := range []string{"/docs", "/redoc"} {
		if page := body(t, get(mux, path)); !strings.Contains(page, "make build") || strings.Contains(page, "docs.js") {
			t.Errorf("%s:\n%s", path, page)
		}
	}
	if page := body(t, get(mux, "/")); !strings.Contains(page, `id="gate"`) {
		t.Errorf("the plain page must not need Node:\n%s", page)
	}
}

func TestAssetIsZippedForThoseWhoTakeIt(t *testing.T) {
	mux := site(t, npm)
	at := regexp.MustCompile(`/assets/[0-9a-f]+/swagger-ui\.js`).FindString(body(t, get(mux, "/docs")))
	rows := []struct {
		name, accept string
		zipped       bool
	}{
		{"a browser", "gzip, deflate, br, zstd", true},
		{"in capitals with a weight", "br;q=1.0, GZIP; q=0.8", true},
		{"nothing said", "", false},
		{"refused", "gzip;q=0, identity", false},
		{"refused exactly", "gzip; q=0.000", false},
		{"another coding", "br", false},
		{"a name that only begins so", "gzipped", false},
	}
	tags := map[string]bool{}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := get(mux, at, "Accept-Encoding", row.accept)
			if got := r.Header.Get("Content-Encoding") == "gzip"; got != row.zipped {
				t.Fatalf("zipped %v", got)
			}
			var plain io.Reader = r.Body
			if row.zipped {
				z, err := gzip.NewReader(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				plain = z
			}
			text, err := io.ReadAll(plain)
			if diff := cmp.Diff("swagger()", string(text)); diff != "" || err != nil {
				t.Errorf("(-want +got)\n%s%v", diff, err)
			}
			if r.Header.Get("Vary") != "Accept-Encoding" || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
				t.Errorf("headers %v", r.Header)
			}
			tag := r.Header.Get("ETag")
			tags[tag] = true
			if again := get(mux, at, "Accept-Encoding", row.accept, "If-None-Match", tag); again.StatusCode != 304 {
				t.Errorf("with its own ETag: %d", again.StatusCode)
			}
		})
	}
	if len(tags) != 2 {
		t.Errorf("two representations have the tags %v", tags)
	}
}

func TestOldOrUnknownAssetIsAProblem(t *testing.T) {
	mux := site(t, npm)
	for _, path := range []string{"/assets/0000000000000000/redoc.js", "/assets/0000000000000000/nothing.js", "/assets/x/README.md"} {
		r := get(mux, path)
		if r.StatusCode != 404 || r.Header.Get("Content-Type") != "application/problem+json" || r.Header.Get("Cache-Control") != "" {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
}

func TestBuildRefusesPagesWithHoles(t *testing.T) {
	page := func(text string) fstest.MapFS {
		return fstest.MapFS{"page/home.html": {Data: []byte(text)}, "page/missing.html": {Data: []byte("x")}, "assets/README.md": {}}
	}
	rows := []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"no directory", fstest.MapFS{}, "read page: open page: file does not exist"},
		{"no page", fstest.MapFS{"page/missing.html": {}, "assets/README.md": {}}, "read home.html: template: pattern matches no files: `page/home.html`"},
		{"an asset that is not there", page(`{{asset "x.js"}}`), "read home.html: there is no asset x.js"},
		{"a broken template", page(`{{.Age}}`), "draw home.html: template: home.html:1:2: executing \"home.html\" at <.Age>: can't evaluate field Age in type struct { Name string }"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := web.Build(row.files, "Byline")
			if err == nil || err.Error() != row.want {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

// TestThisBuild reads everything that is embedded in this very build.
func TestThisBuild(t *testing.T) {
	s, err := web.New("Byline")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Mount(mux)
	for _, path := range []string{"/", "/docs", "/redoc"} {
		page := body(t, get(mux, path))
		for _, f := range address.FindAllStringSubmatch(page, -1) {
			if text := body(t, get(mux, f[1])); len(text) < 10 {
				t.Errorf("%s is nearly empty", f[1])
			} else if strings.HasSuffix(f[1], ".js") && strings.Contains(text, "cdn.redoc.ly") {
				t.Errorf("%s loads from a server of others", f[1])
			}
		}
	}
	if strings.Contains(body(t, get(mux, "/docs")), "make build") {
		t.Skip("the pages of npm are not in this build; make web puts them there")
	}
}
