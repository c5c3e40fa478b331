package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"byline/internal/llm/llmtest"
)

// The official clients of others are satisfied with what they read. scripts/clients.sh installs them where TEST_CLIENTS_DIR says.
func TestOfficialClients(t *testing.T) {
	dir := os.Getenv("TEST_CLIENTS_DIR")
	if dir == "" {
		t.Skip("TEST_CLIENTS_DIR is not set: scripts/clients.sh installs the official clients and runs this")
	}
	python := filepath.Join(dir, "py", "bin", "python")
	for name, command := range map[string][]string{
		"openai npm":    {"node", "openai.mjs"},
		"openai Python": {python, "openai_client.py"},
		"MCP npm":       {"node", "mcp.mjs"},
	} {
		t.Run(name, func(t *testing.T) {
			llms, p := openAnswering(t)
			usual := answers
			llms.Script(func(c llmtest.Call) llmtest.Reply {
				switch {
				case c.Schema == "x":
					return llmtest.Say(`{"ok":true}`)
				case len(c.Tools) > 0:
					return llmtest.Stream(llmtest.Chunk(`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]}`, ""), llmtest.Chunk(`{}`, "tool_calls"))
				}
				return usual(c)
			})
			script, err := os.ReadFile(filepath.Join("testdata", "clients", command[1]))
			if err != nil {
				t.Fatal(err)
			}
			// Modules are looked for beside the script.
			path := filepath.Join(dir, command[1])
			if err := os.WriteFile(path, script, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), command[0], path)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "BYLINE_URL="+p.url, "BYLINE_TOKEN="+p.token)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "ok") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
