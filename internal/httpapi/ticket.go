package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Browsers open streams with nothing but an address. A ticket in it lets them in once; what lets them in again when the connection
// breaks is a pass, in a cookie that no script can read and that is sent to this one path.

const (
	passCookie = "byline_stream"
	// ticketed is in the metadata of operations that take tickets and passes.
	ticketed = "ticketed"
)

// byTicket lets an operation be called with a ticket or a pass in the place of a token.
func byTicket(o *huma.Operation) {
	remark(o, ticketed, true)
	o.Security = append(slices.Clone(anyKey), map[string][]string{"ticket": {}}, map[string][]string{"pass": {}})
}

type ticketIn struct {
	Body struct {
		Strict
		Path string `json:"path" maxLength:"200" example:"/ws/01J9ZB3C4D5E6F7G8H9JKMNPQR" doc:"Of a stream: /ws/{session_id}, /api/v1/sessions/{session_id}/events or /api/v1/runs/{run_id}/events"`
	}
}

type ticketOut struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Ticket    string `json:"ticket" doc:"Append it to the path as ?ticket="`
		URL       string `json:"url" doc:"The path with the ticket"`
		ExpiresIn int    `json:"expires_in" doc:"Seconds in which it has to be used"`
	}
}

func (s *server) addTicket(ctx context.Context, in *ticketIn) (*ticketOut, error) {
	if !isStream(in.Body.Path) {
		return nil, fault.Bad("body.path", "no_stream", "Tickets are for streams: /ws/{session_id}, /api/v1/sessions/{session_id}/events or /api/v1/runs/{run_id}/events, without a query.")
	}
	ticket, life, err := s.Accounts.IssueTicket(ctx, grantOf(ctx), in.Body.Path)
	if err != nil {
		return nil, err
	}
	out := &ticketOut{CacheControl: "no-store"}
	out.Body.Ticket, out.Body.URL, out.Body.ExpiresIn = ticket, in.Body.Path+"?ticket="+url.QueryEscape(ticket), int(life.Seconds())
	return out, nil
}

// isStream tells whether a path is one of the streams'.
func isStream(p string) bool {
	id := path.Base(strings.TrimSuffix(p, "/events"))
	return ident.Valid(id) && (p == "/ws/"+id || p == "/api/v1/sessions/"+id+"/events" || p == "/api/v1/runs/"+id+"/events")
}

type grantKey struct{}

// grantOf is the right of who makes the request to follow streams.
func grantOf(ctx context.Context) account.Grant {
	g, _ := ctx.Value(grantKey{}).(account.Grant)
	return g
}

// admit finds who opens a stream: by the token in the header, a ticket, or a pass. The right is looked at once more, since an access
// token outlives its login.
func (s *server) admit(ctx context.Context, w http.ResponseWriter, r *http.Request) (context.Context, error) {
	if r.Header.Get("Authorization") != "" || r.Header.Get("X-API-Key") != "" {
		ctx, err := s.authenticate(ctx, r.Header, account.ScopeRead)
		if err != nil {
			return ctx, err
		}
		ended, err := s.Accounts.Ended(ctx, []account.Grant{grantOf(ctx)})
		if err == nil {
			err = ended[0]
		}
		return ctx, err
	}
	u, g, err := s.ticket(ctx, w, r)
	if err != nil {
		return ctx, err
	}
	if s.listed(r.Header.Get("Origin")) {
		w.Header().Set("Access-Control-Allow-Credentials", "true") // the page may send its cookie when it comes again
	}
	return context.WithValue(context.WithValue(ctx, userKey{}, u), grantKey{}, g), nil
}

// ticket admits by what a browser has. A ticket that was used is one that the browser repeats when it comes again: then its pass counts.
func (s *server) ticket(ctx context.Context, w http.ResponseWriter, r *http.Request) (account.User, account.Grant, error) {
	ticket := r.URL.Query().Get("ticket")
	refusal := error(errUnauthenticated)
	if ticket != "" {
		u, g, pass, err := s.Accounts.UseTicket(ctx, ticket, r.URL.Path)
		if err == nil {
			http.SetCookie(w, passOf(r, pass, g))
			return u, g, nil
		}
		if fault.Of(err).Kind != fault.Unauthenticated {
			return u, g, err
		}
		refusal = err
	}
	for _, c := range r.CookiesNamed(passCookie) {
		u, g, err := s.Accounts.UsePass(ctx, c.Value, r.URL.Path, ticket)
		if err == nil || fault.Of(err).Kind != fault.Unauthenticated {
			return u, g, err
		}
		if ticket == "" {
			refusal = err
		}
	}
	return account.User{}, account.Grant{}, refusal
}

// passOf makes the cookie of a pass.
func passOf(r *http.Request, pass string, g account.Grant) *http.Cookie {
	c := &http.Cookie{Name: passCookie, Value: pass, Path: r.URL.Path, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")}
	if !g.Until.IsZero() {
		c.MaxAge = max(1, int(time.Until(g.Until).Seconds()))
	}
	return c
}

// listed tells whether an origin is in CORS_ORIGINS by name.
func (s *server) listed(origin string) bool {
	for _, o := range s.Origins {
		before, behind, pattern := strings.Cut(strings.ToLower(o), "*")
		got := strings.ToLower(origin)
		switch {
		case o == "*", origin == "":
		case got == strings.ToLower(o), pattern && len(got) > len(before)+len(behind) && strings.HasPrefix(got, before) && strings.HasSuffix(got, behind):
			return true
		}
	}
	return false
}

// fromHere tells whether a WebSocket is opened by a page of ours, or of one that CORS_ORIGINS names: other than with requests, no
// browser asks before it opens one. What is no browser sends no Origin.
func (s *server) fromHere(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || s.listed(origin) {
		return true
	}
	for _, o := range s.Origins {
		if o == "*" {
			return true
		}
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(r.Host, port))
}
