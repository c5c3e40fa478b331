package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"time"

	"byline/internal/fault"
)

// Server is a configured server of tools.
type Server struct {
	Name    string
	URL     string            // streamable HTTP; empty: Command
	Headers map[string]string // of each request, such as Authorization
	Command string            // a program that speaks over its standard input and output
	Args    []string
	Env     map[string]string // beside this process' own
	Tools   []string          // that may be used; "*" is all of them
	Approve Approve
	Timeout time.Duration // of a use
}

// Approve says which uses a person must allow.
type Approve string

// The ways of approval. What a server says of its own tools counts for Writes only where the operator chose that.
const (
	Always Approve = "always"
	Writes Approve = "writes" // those of tools that do not say that they change nothing
	Never  Approve = "never"
)

const (
	usualTimeout = time.Minute
	maxTimeout   = 30 * time.Minute
)

var serverName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,23}$`)

// Load reads a file of servers. One that is not there has none.
func Load(path string) ([]Server, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read servers of tools: %w", err)
	}
	list, err := Parse(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, "mcp_servers", "The file %s with servers of tools cannot be used: %v.", path, err)
	}
	return list, nil
}

// Parse reads the form that clients of the protocol share, with tools, approve and timeout of our own:
//
//	{"mcpServers": {"weather": {"url": "https://weather.example/mcp", "headers": {"Authorization": "Bearer ..."}, "tools": ["forecast"], "approve": "never", "timeout": "20s"},
//	                "files": {"command": "mcp-files", "args": ["/srv"], "tools": ["*"]}}}
func Parse(data []byte) ([]Server, error) {
	var file struct {
		Servers map[string]struct {
			Type    string            `json:"type"`
			URL     string            `json:"url"`
			Headers map[string]string `json:"headers"`
			Command string            `json:"command"`
			Args    []string          `json:"args"`
			Env     map[string]string `json:"env"`
			Tools   []string          `json:"tools"`
			Approve Approve           `json:"approve"`
			Timeout string            `json:"timeout"`
		} `json:"mcpServers"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("something stands behind its end")
	}
	var list []Server
	for _, name := range slices.Sorted(maps.Keys(file.Servers)) {
		x := file.Servers[name]
		s := Server{Name: name, URL: x.URL, Headers: x.Headers, Command: x.Command, Args: x.Args, Env: x.Env, Tools: x.Tools, Approve: x.Approve, Timeout: usualTimeout}
		wrong := func(say string, args ...any) error {
			return fmt.Errorf("server %q: %s", name, fmt.Sprintf(say, args...))
		}
		if !serverName.MatchString(name) {
			return nil, wrong("a name has 1 to 24 of a-z, 0-9 and -")
		}
		if (s.URL == "") == (s.Command == "") {
			return nil, wrong("give either url or command")
		}
		if u, err := url.Parse(s.URL); s.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return nil, wrong("url is an address such as https://host/mcp")
		}
		if kind := x.Type; kind != "" && (kind != "http" && kind != "streamable-http" || s.URL == "") && (kind != "stdio" || s.Command == "") {
			return nil, wrong("type is http (with url) or stdio (with command), not %q", kind)
		}
		if len(s.Tools) == 0 {
			return nil, wrong("name in tools those that may be used, or \"*\" for all")
		}
		switch s.Approve {
		case "":
			s.Approve = Always
		case Always, Writes, Never:
		default:
			return nil, wrong("approve is always, writes or never, not %q", s.Approve)
		}
		if x.Timeout != "" {
			t, err := time.ParseDuration(x.Timeout)
			if err != nil || t < time.Second || t > maxTimeout {
				return nil, wrong("timeout is 1s to 30m, not %q", x.Timeout)
			}
			s.Timeout = t
		}
		list = append(list, s)
	}
	return list, nil
}

// allows tells whether a tool may be used.
func (s Server) allows(tool string) bool {
	return slices.Contains(s.Tools, "*") || slices.Contains(s.Tools, tool)
}
