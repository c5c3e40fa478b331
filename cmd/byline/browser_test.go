package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// buffering is what an operator may have set for all of nginx, with no thought of streams.
const buffering = `proxy_buffering on; gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any;`

// beat is the time between words of the model in tests that look at when they come.
const beat = 40 * time.Millisecond

// arrived is when tokens came, and how long behind their writing.
type arrived struct {
	at   []time.Time
	late []time.Duration
	end  string
}

// event takes one in the envelope of the wire.
func (a *arrived) event(data []byte) error {
	var e struct {
		Type string
		At   time.Time
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	if e.Type == "token" {
		a.at, a.late = append(a.at, time.Now()), append(a.late, time.Since(e.At))
	}
	if e.Type == "run.completed" {
		a.end = e.Type
	}
	return nil
}

// oneByOne wants tokens to have come as they were written, and not together.
func (a *arrived) oneByOne(t *testing.T, by string) {
	t.Helper()
	n := len(a.at)
	if a.end == "" || n < 20 {
		t.Fatalf("%s: %d tokens, end %q", by, n, a.end)
	}
	spread, apart := a.at[n-1].Sub(a.at[0]), 0
	for i := 1; i < n; i++ {
		if a.at[i].Sub(a.at[i-1]) > beat/4 {
			apart++
		}
	}
	late := slices.Clone(a.late)
	slices.Sort(late)
	t.Logf("%s: %d tokens over %v, %d of them apart, %v behind their writing (p50; p95 %v)", by, n, spread.Round(time.Millisecond), apart, late[n/2].Round(time.Millisecond), late[n*95/100].Round(time.Millisecond))
	if apart < n/2 || late[n/2] > 150*time.Millisecond {
		t.Errorf("%s: tokens do not come one by one", by)
	}
}

// Tokens pass nginx one by one though it buffers and compresses, as server-sent events and through a WebSocket.
func TestStreamsThroughNginx(t *testing.T) {
	c, _ := withModel(t, beat)
	r := c.replica()
	c.at(r.addr)
	v := c.at(c.proxy(buffering, r))
	docs := v.sources()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	for _, accept := range []string{"identity", "gzip"} {
		_, run := v.post(docs)
		header := []string{"Accept", "text/event-stream"}
		if accept != "gzip" { // which Go's client asks for, and undoes, by itself
			header = append(header, "Accept-Encoding", accept)
		}
		resp, err := v.request(ctx, "GET", "/runs/"+run+"/events", nil, header...)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var a arrived
		for sc := bufio.NewScanner(resp.Body); a.end == "" && sc.Scan(); {
			if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
				if err := a.event([]byte(data)); err != nil {
					t.Fatal(err)
				}
			}
		}
		a.oneByOne(t, "server-sent events, "+accept)
	}

	var s struct{ ID string }
	v.ask("POST", "/sessions", `{}`, &s)
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(v.url, "http")+"/ws/"+s.ID, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + v.token}}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow() //nolint:errcheck // the test is over
	v.ask("POST", "/blog/generate", fmt.Sprintf(`{"document_ids":[%s],"session_id":%q}`, docs, s.ID), &struct{}{})
	var a arrived
	for a.end == "" {
		_, data, err := ws.Read(ctx)
		if err == nil {
			err = a.event(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a.oneByOne(t, "WebSocket")
}

// browserDir is where scripts/replicas.sh has installed playwright-core, beside a Chromium.
func browserDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TEST_BROWSER_DIR")
	if dir == "" || os.Getenv("TEST_CHROMIUM") == "" {
		if strings.Contains(","+os.Getenv("TEST_REQUIRE")+",", ",chromium,") {
			t.Fatal("TEST_REQUIRE names chromium, but TEST_BROWSER_DIR and TEST_CHROMIUM are not set; scripts/replicas.sh sets them")
		}
		t.Skip("TEST_BROWSER_DIR and TEST_CHROMIUM are not set: there is no browser here")
	}
	return dir
}

// A page in Chromium follows a session with EventSource and with a WebSocket through nginx, while both servers are restarted: it comes again by its
// cookies, and misses nothing.
func TestBrowserFollowsASession(t *testing.T) {
	dir := browserDir(t)
	c, _ := withModel(t, beat, "BYLINE_DRAIN_TIMEOUT=1s")
	servers := []*replica{c.replica(), c.replica()}
	c.at(servers[0].addr)
	v := c.at(c.proxy(buffering, servers...))
	docs := v.sources()
	var s struct{ ID string }
	v.ask("POST", "/sessions", `{}`, &s)

	script, err := os.ReadFile(filepath.Join("testdata", "browser", "follow.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "follow.mjs") // modules are looked for beside it
	if err := os.WriteFile(path, script, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", path)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	cmd.Env = append(os.Environ(), "BYLINE_URL="+v.url, "BYLINE_TOKEN="+v.token, "BYLINE_SESSION="+s.ID, "CHROMIUM="+os.Getenv("TEST_CHROMIUM"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Buffer(nil, 4<<20)
	if !said.Scan() || said.Text() != "following" {
		t.Fatalf("the page says %q", said.Text())
	}
	var started struct{ Draft, Run struct{ ID string } }
	v.ask("POST", "/blog/generate", fmt.Sprintf(`{"document_ids":[%s],"session_id":%q}`, docs, s.ID), &started)
	v.moment(ctx, started.Run.ID, "token")
	for i, r := range servers {
		r.stop()
		r.start()
		if i == 0 {
			time.Sleep(2500 * time.Millisecond) // longer than nginx leaves it alone
		}
	}
	if !said.Scan() {
		t.Fatal("the page says no more")
	}
	type page struct {
		Text, End        string
		Opened           int
		Tokens, Distinct int
		Problems         []string
	}
	var got struct {
		ES, WS page
		Cookie string
	}
	if err := json.Unmarshal(said.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, said.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	var d struct{ Content string }
	v.ask("GET", "/blog/"+started.Draft.ID, "", &d)
	for by, p := range map[string]page{"EventSource": got.ES, "WebSocket": got.WS} {
		if p.Text != d.Content || p.End != "run.completed" || len(p.Problems) > 0 || p.Opened < 2 || p.Distinct < p.Tokens/2 {
			t.Errorf("%s: opened %d times, %v, ended with %q, %d tokens at %d moments, text\n%s\n---\n%s", by, p.Opened, p.Problems, p.End, p.Tokens, p.Distinct, p.Text, d.Content)
		}
		t.Logf("%s: opened %d times, %d tokens at %d moments", by, p.Opened, p.Tokens, p.Distinct)
	}
	if got.Cookie != "" {
		t.Errorf("the page's scripts see a cookie: %q", got.Cookie)
	}
}
