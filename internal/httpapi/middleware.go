package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
)

type (
	requestIDKey struct{}
	userKey      struct{}
)

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// userOf is who makes the request; the middleware has put it there for every operation that is not public.
func userOf(ctx context.Context) account.User {
	u, _ := ctx.Value(userKey{}).(account.User)
	return u
}

func workspaceOf(ctx context.Context) ident.Workspace { return userOf(ctx).Workspace }

// answer watches what is written: the status for metrics, and the mux's own plain text 404 and 405, which become problems.
type answer struct {
	http.ResponseWriter
	r       *http.Request
	status  int
	swallow bool
	visit   visit
	left    bool // somebody has taken the connection over, and says when the request ends
}

// visit is what is noted of a request at its end.
type visit struct {
	*server
	id, method, path string
	began            time.Time
}

func (v visit) end(route string, status int) {
	took := time.Since(v.began)
	v.Metrics.Request(v.method, route, status, took)
	if ctx := context.Background(); v.log.Enabled(ctx, slog.LevelDebug) {
		v.log.DebugContext(ctx, "request", "request_id", v.id, "method", v.method, "path", v.path, "status", status, "took", took)
	}
}

// leave lets a request end later than its handler, when done is called. Until then nothing of it is kept but what is noted.
func leave(w http.ResponseWriter) (done func()) {
	for {
		switch v := w.(type) {
		case *answer:
			v.left = true
			visit, route, status := v.visit, route(v.r), v.status
			return func() { visit.end(route, status) }
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return func() {}
		}
	}
}

func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if a.r.Pattern == "" && status >= 400 && !strings.HasPrefix(a.Header().Get("Content-Type"), "application/problem+json") {
		a.swallow = true
		p := fault.New(fault.NotFound, "not_found", "There is no such path.")
		if status == http.StatusMethodNotAllowed {
			writeProblem(a.ResponseWriter, a.r, &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: "method_not_allowed",
				Detail: "This path knows " + a.Header().Get("Allow") + ".", RequestID: requestID(a.r.Context())})
			return
		}
		a.status = http.StatusNotFound
		writeProblem(a.ResponseWriter, a.r, p)
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.swallow {
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// wrap is around every request: its id, its log line, its metrics, and a last resort for panics.
func (s *server) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ident.New()
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		a := &answer{ResponseWriter: w, r: r, visit: visit{s, id, r.Method, r.URL.Path, time.Now()}}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.panicked(r.Context(), r.URL.Path, p)
				if a.status == 0 {
					a.status = http.StatusInternalServerError
					writeProblem(w, r, fmt.Errorf("panic: %v", p))
				}
			}
			if !a.left {
				a.visit.end(route(r), a.status)
			}
		}()
		next.ServeHTTP(a, r)
	})
}

// panicked logs a panic that was caught.
func (s *server) panicked(ctx context.Context, path string, p any) {
	s.log.ErrorContext(ctx, "panic", "request_id", requestID(ctx), "path", path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// route is the pattern without its method, or "none": metrics must not grow with what clients make up.
func route(r *http.Request) string {
	_, path, ok := strings.Cut(r.Pattern, " ")
	switch {
	case ok:
		return path
	case r.Pattern != "":
		return r.Pattern
	}
	return "none"
}

var errUnauthenticated = fault.New(fault.Unauthenticated, "unauthenticated", "Log in first, and send Authorization: Bearer with the access token, or an API key.")

// authenticate finds who makes the request by its headers, and whether their right is enough for what it needs.
func (s *server) authenticate(ctx context.Context, h http.Header, need account.Scope) (context.Context, error) {
	token := h.Get("X-API-Key") // for those whose Authorization is a proxy's
	if scheme, bearer, _ := strings.Cut(h.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") {
		token = bearer
	}
	if token == "" {
		return ctx, errUnauthenticated
	}
	u, g, err := s.Accounts.Admit(ctx, strings.TrimSpace(token))
	if err == nil {
		err = g.Needs(need)
	}
	if err != nil {
		return ctx, err
	}
	return context.WithValue(context.WithValue(ctx, userKey{}, u), grantKey{}, g), nil
}

// loopback tells whether the request was made on this very machine: not through a proxy, and not by a page whose name was
// pointed at this machine (the Host says that name).
func loopback(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !net.ParseIP(peer).IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
