package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"byline/internal/app"
	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/fault"
)

// The status tells whether the configured servers of tools answer.
func TestToolServers(t *testing.T) {
	t.Parallel()
	m := mcp.NewServer(&mcp.Implementation{Name: "weather", Version: "1"}, nil)
	mcp.AddTool(m, &mcp.Tool{Name: "forecast"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	srv := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m }, &mcp.StreamableHTTPOptions{Stateless: true}))
	defer srv.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mcp.json"), []byte(`{"mcpServers": {"weather": {"url": "`+srv.URL+`", "tools": ["*"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := open(t, dir).register("owner@example.com")
	if r := p.want(200, "GET", "/api/v1/status", nil); !strings.Contains(string(r.raw), "weather (1 tools)") {
		t.Errorf("%s", r.raw)
	}
}

func TestToolServersAreWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mcp.json"), []byte(`{"mcpServers": {"weather": {}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"DEBUG=false"} {
		cfg, _, err := config.Load(config.Sources{Environ: []string{"BYLINE_DATA=" + dir, "DEFAULT_LLM_PROVIDER=offline", setting}, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		a, err := app.Open(t.Context(), cli.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Server: true})
		if a != nil || fault.Of(err).Code != "mcp_servers" {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
