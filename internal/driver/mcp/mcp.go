// Package mcp lets the agent use tools of servers of the Model Context Protocol: those that the operator named, each within its time.
package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"byline/internal/agent"
	"byline/internal/fault"
)

// Options are what a Box needs.
type Options struct {
	Version string // of this program, told to servers
	Log     *slog.Logger
}

// Box has the tools of all servers. A server is connected when it is first needed, and again after it was lost. It is safe for
// concurrent use; Close it.
type Box struct {
	servers []*server
	log     *slog.Logger
}

var _ agent.Toolbox = (*Box)(nil)

const (
	connectTime = 10 * time.Second
	listLife    = time.Minute // how long a server's list of tools is trusted
	restTime    = 15 * time.Second
	maxOutput   = 64 << 10 // bytes of what a tool says
	maxTools    = 200      // of one server
)

// New makes a box. Nothing is connected yet.
func New(servers []Server, o Options) *Box {
	b := &Box{log: o.Log}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	for _, s := range servers {
		ctx, stop := context.WithCancel(context.Background())
		b.servers = append(b.servers, &server{Server: s, client: sdk.NewClient(&sdk.Implementation{Name: "byline", Version: o.Version}, nil), ctx: ctx, stop: stop})
	}
	return b
}

// Close ends all connections and programs.
func (b *Box) Close() error {
	var errs []error
	for _, s := range b.servers {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// Tools meets agent.Toolbox.
func (b *Box) Tools(ctx context.Context) ([]agent.Tool, error) {
	lists := make([][]agent.Tool, len(b.servers))
	var all sync.WaitGroup
	for i, s := range b.servers {
		all.Go(func() {
			tools, err := s.list(ctx)
			if err != nil {
				b.log.WarnContext(ctx, "a server of tools does not answer", "server", s.Name, "error", err)
				return
			}
			for _, t := range tools {
				lists[i] = append(lists[i], t.Tool)
			}
		})
	}
	all.Wait()
	var out []agent.Tool
	for _, l := range lists {
		out = append(out, l...)
	}
	return out, ctx.Err()
}

// Call meets agent.Toolbox.
func (b *Box) Call(ctx context.Context, name string, arguments json.RawMessage) (agent.ToolOutput, error) {
	for _, s := range b.servers {
		if !strings.HasPrefix(name, s.Name+"__") {
			continue
		}
		tools, err := s.list(ctx)
		if err != nil {
			return agent.ToolOutput{}, away(s.Name, err)
		}
		for _, t := range tools {
			if t.Name == name {
				return s.call(ctx, t.theirs, arguments)
			}
		}
	}
	return agent.ToolOutput{}, fault.New(fault.Invalid, "tool_missing", "There is no tool %s, or it is not allowed.", name)
}

// Probe tells which servers answer.
func (b *Box) Probe(ctx context.Context) (string, error) {
	var well []string
	var ill []error
	for _, s := range b.servers {
		tools, err := s.list(ctx)
		if err != nil {
			ill = append(ill, fmt.Errorf("%s does not answer", s.Name))
			continue
		}
		well = append(well, fmt.Sprintf("%s (%d tools)", s.Name, len(tools)))
	}
	return strings.Join(well, ", "), errors.Join(ill...)
}

func away(server string, err error) error {
	return fault.New(fault.Unavailable, "tools_away", "The server of tools %s does not answer.", server).Because(err)
}

// known is a tool of a server.
type known struct {
	agent.Tool
	theirs string // its name there
}

// server is one of them with its connection.
type server struct {
	Server
	client *sdk.Client
	ctx    context.Context // of the connection
	stop   context.CancelFunc

	mu      sync.Mutex
	session *sdk.ClientSession // nil: not connected
	tools   []known
	listed  time.Time
	failed  error // of the last attempt; none is made for a moment
	tried   time.Time
}

func (s *server) close() error {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	return nil
}

// drop gives the connection up; s.mu is held. That a lost one cannot be closed in order says nothing new.
func (s *server) drop() {
	if s.session != nil {
		s.session.Close() //nolint:errcheck // see above
		s.session = nil
	}
	s.listed = time.Time{}
}

// list gives the tools that may be used.
func (s *server) list(ctx context.Context) ([]known, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil && time.Since(s.listed) < listLife {
		return s.tools, nil
	}
	if s.failed != nil && time.Since(s.tried) < restTime {
		return nil, s.failed
	}
	s.tried = time.Now()
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	s.failed = s.read(ctx)
	if s.failed != nil && s.session != nil { // it may have been started anew since
		s.drop()
		s.failed = s.read(ctx)
	}
	if s.failed != nil {
		s.drop()
		return nil, s.failed
	}
	return s.tools, nil
}

// read connects if need be, and reads the list; s.mu is held.
func (s *server) read(ctx context.Context) error {
	if s.session == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	var tools []known
	names := map[string]bool{}
	for t, err := range s.session.Tools(ctx, nil) {
		if err != nil {
			return fmt.Errorf("list tools: %w", err)
		}
		if !s.allows(t.Name) || len(tools) == maxTools {
			continue
		}
		k := known{agent.Tool{Name: nameOf(s.Name, t.Name), Description: t.Description, Ask: s.Approve == Always}, t.Name}
		if k.ReadOnly = t.Annotations != nil && t.Annotations.ReadOnlyHint; s.Approve == Writes {
			k.Ask = !k.ReadOnly
		}
		var err error
		if k.Parameters, err = json.Marshal(t.InputSchema); err != nil || names[k.Name] {
			continue // of two tools with one name the first counts
		}
		names[k.Name] = true
		tools = append(tools, k)
	}
	s.tools, s.listed = tools, time.Now()
	return nil
}

// connect makes the connection, which outlives ctx.
func (s *server) connect(ctx context.Context) error {
	life, cancel := context.WithCancel(s.ctx)
	stop := context.AfterFunc(ctx, cancel)
	session, err := s.client.Connect(life, s.transport(life), nil)
	if !stop() && err == nil {
		session.Close() //nolint:errcheck // it came too late
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	s.session = session
	return nil
}

func (s *server) transport(ctx context.Context) sdk.Transport {
	if s.Command != "" {
		cmd := exec.CommandContext(ctx, s.Command, s.Args...)
		cmd.Env = os.Environ()
		for k, v := range s.Env {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		return &sdk.CommandTransport{Command: cmd, TerminateDuration: time.Second}
	}
	return &sdk.StreamableClientTransport{Endpoint: s.URL, DisableStandaloneSSE: true, MaxRetries: -1, HTTPClient: &http.Client{
		Transport: headers{s.Headers},
		// A redirect would carry the headers elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// headers adds what is configured to each request.
type headers struct{ list map[string]string }

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, v := range h.list {
		r.Header.Set(k, v)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// call uses a tool. It is asked once: whether it did something before its connection broke nobody knows.
func (s *server) call(ctx context.Context, tool string, arguments json.RawMessage) (agent.ToolOutput, error) {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session == nil {
		return agent.ToolOutput{}, away(s.Name, errors.New("the connection is closed"))
	}
	limited, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	r, err := session.CallTool(limited, &sdk.CallToolParams{Name: tool, Arguments: arguments})
	switch {
	case err == nil:
		return agent.ToolOutput{Text: textOf(r), Failed: r.IsError}, nil
	case ctx.Err() != nil:
		return agent.ToolOutput{}, ctx.Err()
	case limited.Err() != nil:
		return agent.ToolOutput{}, fault.New(fault.Unavailable, "tool_late", "The tool %s of %s took longer than %s and was given up.", tool, s.Name, s.Timeout)
	}
	if refused, ok := errors.AsType[*jsonrpc.Error](err); ok && heard(refused.Code) {
		return agent.ToolOutput{Text: clip(refused.Message), Failed: true}, nil
	}
	s.mu.Lock()
	if s.session == session {
		s.drop()
	}
	s.mu.Unlock()
	return agent.ToolOutput{}, away(s.Name, err)
}

// heard tells whether an error with a code is the server's answer. Those between are of implementations, such as of a transport that
// the server's answer did not come through.
func heard(code int64) bool {
	return code <= jsonrpc.CodeInvalidRequest && code >= jsonrpc.CodeInternalError || code > -32000
}

// unfit are the characters that some model's names of functions may not have.
var unfit = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// maxName is how long a name of a function may be for models.
const maxName = 64

func nameOf(server, tool string) string {
	name := server + "__" + unfit.ReplaceAllString(tool, "_")
	return name[:min(len(name), maxName)]
}

// textOf is what a tool said, as text: what is no text is named.
func textOf(r *sdk.CallToolResult) string {
	var parts []string
	for _, c := range r.Content {
		switch c := c.(type) {
		case *sdk.TextContent:
			parts = append(parts, c.Text)
		case *sdk.ImageContent:
			parts = append(parts, fmt.Sprintf("[an image, %s, %d bytes]", c.MIMEType, len(c.Data)))
		case *sdk.AudioContent:
			parts = append(parts, fmt.Sprintf("[a sound, %s, %d bytes]", c.MIMEType, len(c.Data)))
		case *sdk.ResourceLink:
			parts = append(parts, fmt.Sprintf("[%s: %s]", c.Name, c.URI))
		case *sdk.EmbeddedResource:
			if c.Resource != nil && c.Resource.Text != "" {
				parts = append(parts, c.Resource.Text)
			}
		}
	}
	if len(parts) == 0 && r.StructuredContent != nil {
		if b, err := json.Marshal(r.StructuredContent); err == nil {
			parts = append(parts, string(b))
		}
	}
	return clip(strings.Join(parts, "\n"))
}

// clip cuts what is too long for a model, and says so.
func clip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxOutput {
		return text
	}
	return strings.ToValidUTF8(text[:maxOutput], "") + "\n[cut: it was longer]"
}
