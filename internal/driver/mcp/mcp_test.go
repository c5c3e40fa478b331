package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"byline/internal/agent"
	"byline/internal/driver/mcp"
	"byline/internal/fault"
)

// As a program with tools this test binary serves its standard input and output.
func TestMain(m *testing.M) {
	if os.Getenv("MCP_TEST_SERVER") == "yes" {
		if err := tools(nil).Run(context.Background(), &sdk.StdioTransport{}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("internal/poll.runtime_pollWait"))
}

type place struct {
	City string `json:"city"`
}

// tools is a server of the SDK with tools of all sorts.
func tools(slow chan struct{}) *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "weather", Version: "1"}, nil)
	add := func(name string, readOnly bool, do func(context.Context, place) *sdk.CallToolResult) {
		sdk.AddTool(s, &sdk.Tool{Name: name, Description: "About " + name, Annotations: &sdk.ToolAnnotations{ReadOnlyHint: readOnly}}, func(ctx context.Context, _ *sdk.CallToolRequest, in place) (*sdk.CallToolResult, any, error) {
			return do(ctx, in), nil, nil
		})
	}
	text := func(s string) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: s}}}
	}
	add("forecast", true, func(_ context.Context, in place) *sdk.CallToolResult { return text("Rain in " + in.City) })
	add("seed.clouds", false, func(context.Context, place) *sdk.CallToolResult { return text("Seeded") })
	add("fail", true, func(context.Context, place) *sdk.CallToolResult {
		r := text("No such city")
		r.IsError = true
		return r
	})
	add("mixed", true, func(context.Context, place) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{
			&sdk.TextContent{Text: "See:"}, &sdk.ImageContent{MIMEType: "image/png", Data: []byte("abc")}, &sdk.AudioContent{MIMEType: "audio/wav", Data: []byte("ab")},
			&sdk.ResourceLink{Name: "map", URI: "file:///map"}, &sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "a", Text: "inside"}},
		}}
	})
	add("structured", true, func(context.Context, place) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{}, StructuredContent: map[string]any{"degrees": 7}}
	})
	add("long", true, func(context.Context, place) *sdk.CallToolResult { return text(strings.Repeat("é", 70<<10)) })
	add("slow", true, func(ctx context.Context, _ place) *sdk.CallToolResult {
		select {
		case <-ctx.Done():
		case <-slow:
		}
		return text("late")
	})
	return s
}

// serve is such a server behind HTTP, which may be made to fail.
func serve(t *testing.T) (url string, broken *atomic.Bool, seen *atomic.Value) {
	t.Helper()
	slow := make(chan struct{})
	broken, seen = &atomic.Bool{}, &atomic.Value{}
	s := tools(slow)
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: true})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		if broken.Load() {
			http.Error(w, "broken", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		close(slow)
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL, broken, seen
}

func open(t *testing.T, servers ...mcp.Server) *mcp.Box {
	t.Helper()
	for i := range servers {
		if servers[i].Timeout == 0 {
			servers[i].Timeout = 10 * time.Second
		}
	}
	b := mcp.New(servers, mcp.Options{Version: "1"})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return b
}

func call(t *testing.T, b *mcp.Box, name string) (agent.ToolOutput, error) {
	t.Helper()
	return b.Call(t.Context(), name, json.RawMessage(`{"city":"Oslo"}`))
}

func TestTools(t *testing.T) {
	url, _, seen := serve(t)
	b := open(t, mcp.Server{Name: "weather", URL: url, Tools: []string{"forecast", "seed.clouds"}, Approve: mcp.Writes, Headers: map[string]string{"Authorization": "Bearer x"}},
		mcp.Server{Name: "all", URL: url, Tools: []string{"*"}, Approve: mcp.Always}, mcp.Server{Name: "free", URL: url, Tools: []string{"seed.clouds"}, Approve: mcp.Never},
		mcp.Server{Name: "away", URL: "http://127.0.0.1:1/mcp", Tools: []string{"*"}, Approve: mcp.Never})
	list, err := b.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range list {
		got = append(got, fmt.Sprintf("%s read %t ask %t", x.Name, x.ReadOnly, x.Ask))
		if x.Description == "" || !strings.Contains(string(x.Parameters), `"city"`) {
			t.Errorf("%+v", x)
		}
	}
	want := []string{"weather__forecast read true ask false", "weather__seed_clouds read false ask true"}
	for _, n := range []string{"fail read true", "forecast read true", "long read true", "mixed read true", "seed_clouds read false", "slow read true", "structured read true"} {
		want = append(want, "all__"+n+" ask true")
	}
	if diff := cmp.Diff(append(want, "free__seed_clouds read false ask false"), got); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]agent.ToolOutput{
		"weather__forecast": {Text: "Rain in Oslo"}, "weather__seed_clouds": {Text: "Seeded"}, "all__fail": {Text: "No such city", Failed: true},
		"all__mixed":      {Text: "See:\n[an image, image/png, 3 bytes]\n[a sound, audio/wav, 2 bytes]\n[map: file:///map]\ninside"},
		"all__structured": {Text: `{"degrees":7}`},
	} {
		if out, err := call(t, b, name); err != nil || out != want {
			t.Errorf("%s: %+v %v", name, out, err)
		}
	}
	if out, err := call(t, b, "all__long"); err != nil || len(out.Text) > 66<<10 || !strings.HasSuffix(out.Text, "[cut: it was longer]") {
		t.Errorf("%d bytes, %v", len(out.Text), err)
	}
	for name, code := range map[string]string{"weather__long": "tool_missing", "other__x": "tool_missing", "away__x": "tools_away"} {
		if _, err := call(t, b, name); fault.Of(err) == nil || fault.Of(err).Code != code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, err := b.Call(t.Context(), "weather__forecast", json.RawMessage(`{"colour":1}`)); err != nil || !out.Failed {
		t.Errorf("%+v %v", out, err)
	}
	if seen.Load() != "" && seen.Load() != "Bearer x" {
		t.Errorf("%v", seen.Load())
	}
	well, err := b.Probe(t.Context())
	if err == nil || well != "weather (2 tools), all (7 tools), free (1 tools)" || !strings.Contains(err.Error(), "away") {
		t.Errorf("%q %v", well, err)
	}
}

// A tool that takes too long is given up; a caller who leaves is not kept.
func TestTimeLimit(t *testing.T) {
	url, _, _ := serve(t)
	b := open(t, mcp.Server{Name: "w", URL: url, Tools: []string{"*"}, Timeout: 50 * time.Millisecond})
	if _, err := call(t, b, "w__slow"); fault.Of(err) == nil || fault.Of(err).Code != "tool_late" {
		t.Errorf("%v", err)
	}
	patient := open(t, mcp.Server{Name: "w", URL: url, Tools: []string{"*"}})
	if _, err := patient.Tools(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer leave()
	if _, err := patient.Call(ctx, "w__slow", json.RawMessage(`{"city":"x"}`)); err != context.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	if out, err := call(t, patient, "w__forecast"); err != nil || out.Text != "Rain in Oslo" {
		t.Errorf("afterwards: %+v %v", out, err)
	}
}

// A server that was away is connected again.
func TestServerComesBack(t *testing.T) {
	url, broken, _ := serve(t)
	b := open(t, mcp.Server{Name: "w", URL: url, Tools: []string{"*"}})
	if out, err := call(t, b, "w__forecast"); err != nil || out.Text == "" {
		t.Fatalf("%+v %v", out, err)
	}
	broken.Store(true)
	if out, err := call(t, b, "w__forecast"); err == nil {
		t.Errorf("%+v", out)
	}
	broken.Store(false)
	if out, err := call(t, b, "w__forecast"); err != nil || out.Text != "Rain in Oslo" {
		t.Errorf("%+v %v", out, err)
	}
}

// Headers go to nobody else: a redirect is not followed.
func TestRedirect(t *testing.T) {
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	b := open(t, mcp.Server{Name: "w", URL: srv.URL, Tools: []string{"*"}, Headers: map[string]string{"Authorization": "Bearer x"}})
	if list, err := b.Tools(t.Context()); len(list) != 0 || err != nil || asked.Load() != 0 {
		t.Errorf("%v %v, %d requests", list, err, asked.Load())
	}
}

func TestProgram(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, mcp.Server{Name: "w", Command: exe, Env: map[string]string{"MCP_TEST_SERVER": "yes"}, Tools: []string{"forecast"}})
	if out, err := call(t, b, "w__forecast"); err != nil || out.Text != "Rain in Oslo" {
		t.Errorf("%+v %v", out, err)
	}
	none := open(t, mcp.Server{Name: "w", Command: filepath.Join(t.TempDir(), "none"), Tools: []string{"*"}})
	if _, err := call(t, none, "w__forecast"); fault.Of(err) == nil || fault.Of(err).Code != "tools_away" {
		t.Errorf("%v", err)
	}
}

func TestParse(t *testing.T) {
	list, err := mcp.Parse([]byte(`{"mcpServers": {"weather": {"type": "http", "url": "https://w.example/mcp", "headers": {"A": "b"}, "tools": ["forecast"], "approve": "never", "timeout": "20s"},
		"files": {"command": "mcp-files", "args": ["/srv"], "env": {"X": "y"}, "tools": ["*"]}}}`))
	want := []mcp.Server{
		{Name: "files", Command: "mcp-files", Args: []string{"/srv"}, Env: map[string]string{"X": "y"}, Tools: []string{"*"}, Approve: mcp.Always, Timeout: time.Minute},
		{Name: "weather", URL: "https://w.example/mcp", Headers: map[string]string{"A": "b"}, Tools: []string{"forecast"}, Approve: mcp.Never, Timeout: 20 * time.Second},
	}
	if diff := cmp.Diff(want, list); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for name, text := range map[string]string{
		"no JSON":       `{`,
		"more":          `{} {}`,
		"unknown field": `{"servers": {}}`,
		"name":          `{"mcpServers": {"A b": {"url": "http://x", "tools": ["*"]}}}`,
		"nothing":       `{"mcpServers": {"a": {"tools": ["*"]}}}`,
		"both":          `{"mcpServers": {"a": {"url": "http://x", "command": "y", "tools": ["*"]}}}`,
		"address":       `{"mcpServers": {"a": {"url": "ftp://x", "tools": ["*"]}}}`,
		"type":          `{"mcpServers": {"a": {"url": "http://x", "type": "sse", "tools": ["*"]}}}`,
		"no tools":      `{"mcpServers": {"a": {"url": "http://x"}}}`,
		"approve":       `{"mcpServers": {"a": {"url": "http://x", "tools": ["*"], "approve": "maybe"}}}`,
		"timeout":       `{"mcpServers": {"a": {"url": "http://x", "tools": ["*"], "timeout": "5"}}}`,
		"long timeout":  `{"mcpServers": {"a": {"url": "http://x", "tools": ["*"], "timeout": "31m"}}}`,
	} {
		if list, err := mcp.Parse([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.json")
	if list, err := mcp.Load(path); list != nil || err != nil {
		t.Errorf("%v %v", list, err)
	}
	if err := os.WriteFile(path, []byte(`{"mcpServers": {}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mcp.Load(path); fault.Of(err).Code != "mcp_servers" || !strings.Contains(fault.Of(err).Say, path) {
		t.Errorf("%v", err)
	}
	if _, err := mcp.Load(filepath.Dir(path)); err == nil {
		t.Error("a directory is read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"mcpServers": {"a": {"url": "http://x", "tools": ["*"], "timeout": "5s"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := mcp.Parse(data)
		if err != nil {
			return
		}
		for _, s := range list {
			if s.Name == "" || (s.URL == "") == (s.Command == "") || len(s.Tools) == 0 || s.Timeout < time.Second || s.Approve == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
