package account

import (
	"context"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Grant is the right by which somebody follows a stream. It is held against the store for as long as the stream is open.
type Grant struct {
	UserID string // empty for the local token
	Login  string // the family of refresh tokens that the access token came with, or the API key behind KeyLogin; empty for none
	Until  time.Time
	Scope  Scope // of an API key; empty: everything
}

// Ticket lets a browser open one stream, once: EventSource and WebSocket cannot send an Authorization header, and a token must not
// stand in an address. Only its hash is kept.
type Ticket struct {
	Hash  string // hex SHA-256
	Path  string // of the stream
	Grant Grant
}

// ticketLife is how long a ticket waits for its use.
const ticketLife = 30 * time.Second

// passes are signed for other readers than access tokens are, so that neither is taken for the other.
const passAudience = "byline-stream"

// What a stream is refused or ended with.
var (
	ErrTicket = fault.New(fault.Unauthenticated, "bad_ticket", "This ticket was used before, is older than %d s, or is for another path. Get a new one from POST /api/v1/auth/tickets.", int(ticketLife.Seconds()))
	ErrLogout = fault.New(fault.Unauthenticated, "login_ended", "This login was ended. Log in again.")
	ErrOver   = fault.New(fault.Unauthenticated, "token_expired", "The access token or API key has run out. Refresh it, log in again, or use another key.")
)

// claims of access tokens and of passes.
type claims struct {
	jwt.RegisteredClaims
	Login  string `json:"login,omitempty"`
	Path   string `json:"path,omitempty"`   // of a pass
	Ticket string `json:"ticket,omitempty"` // of a pass: the hash of the ticket that it came from
}

// IssueTicket makes a ticket for a path from the right that its bearer has now.
func (s *Service) IssueTicket(ctx context.Context, g Grant, path string) (ticket string, life time.Duration, err error) {
	ticket = newToken("blt_")
	return ticket, ticketLife, s.store.AddTicket(ctx, Ticket{Hash: digest(ticket), Path: path, Grant: g}, ticketLife)
}

// UseTicket takes a ticket, which is gone then whatever comes of it, and gives who may follow the path, by which right, and a pass to
// come again with. Of two uses at the same time, on any replica, one is refused.
func (s *Service) UseTicket(ctx context.Context, ticket, path string) (u User, g Grant, pass string, err error) {
	t, err := s.store.TakeTicket(ctx, digest(ticket))
	if err != nil {
		return User{}, Grant{}, "", err
	}
	if t.Path != path {
		return User{}, Grant{}, "", ErrTicket
	}
	t.Grant.Scope = ScopeRead // what tickets are for
	if u, err = s.holder(ctx, t.Grant); err != nil {
		return User{}, Grant{}, "", err
	}
	pass, err = s.sign(claims{Path: path, Login: t.Grant.Login, Ticket: t.Hash}, passAudience, t.Grant.UserID, s.passUntil(t.Grant))
	return u, t.Grant, pass, err
}

// passUntil is when a pass runs out: with its access token. The local token and some API keys have no end, or a late one; a pass has.
func (s *Service) passUntil(g Grant) time.Time {
	most := s.now().Add(s.o.AccessTTL)
	if until := g.Until.Add(-leeway); !g.Until.IsZero() && until.Before(most) { // the parser adds it again
		return until
	}
	return most
}

// UsePass checks a pass for a path. With a ticket, it has to be the one that the pass came from.
func (s *Service) UsePass(ctx context.Context, pass, path, ticket string) (User, Grant, error) {
	var c claims
	if _, err := s.passes.ParseWithClaims(pass, &c, s.key); err != nil {
		return User{}, Grant{}, ErrTicket.Because(err)
	}
	if c.Path != path || ticket != "" && c.Ticket != digest(ticket) {
		return User{}, Grant{}, ErrTicket
	}
	g := c.grant()
	g.Scope = ScopeRead
	u, err := s.holder(ctx, g)
	return u, g, err
}

// holder finds the account of a grant that still stands.
func (s *Service) holder(ctx context.Context, g Grant) (User, error) {
	ended, err := s.Ended(ctx, []Grant{g})
	switch {
	case err != nil:
		return User{}, err
	case ended[0] != nil:
		return User{}, ended[0]
	case g.UserID == "":
		return localUser, nil
	}
	u, err := s.store.User(ctx, g.UserID)
	if err != nil && fault.Of(err).Kind == fault.NotFound {
		return User{}, ErrLogout.Because(err)
	}
	return u, err
}

// Ended tells of each grant why it does not stand any more, nil where it does: the token has run out, its login was ended or its
// account removed. However many they are, the store is asked once.
func (s *Service) Ended(ctx context.Context, grants []Grant) ([]error, error) {
	users, logins := map[string]bool{}, map[string]bool{}
	for _, g := range grants {
		if g.UserID != "" {
			users[g.UserID] = true
		}
		if g.Login != "" {
			logins[g.Login] = true
		}
	}
	reasons := make([]error, len(grants))
	gone, err := s.store.Revoked(ctx, users, logins)
	if err != nil {
		return nil, err
	}
	now := s.now()
	for i, g := range grants {
		switch {
		case gone[g.UserID], gone[g.Login]:
			reasons[i] = ErrLogout
		case !g.Until.IsZero() && !now.Before(g.Until):
			reasons[i] = ErrOver
		}
	}
	return reasons, nil
}

// grant is the right that a token gives.
func (c claims) grant() Grant {
	return Grant{UserID: c.Subject, Login: c.Login, Until: c.ExpiresAt.Add(leeway)}
}

// sign makes a token for an audience.
func (s *Service) sign(c claims, audience, subject string, until time.Time) (string, error) {
	c.RegisteredClaims = jwt.RegisteredClaims{Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: subject, ID: ident.New(),
		IssuedAt: jwt.NewNumericDate(s.now()), ExpiresAt: jwt.NewNumericDate(until)}
	return jwt.NewWithClaims(s.method, c).SignedString(s.o.Secret)
}

func (s *Service) key(*jwt.Token) (any, error) { return s.o.Secret, nil }

// localUser acts with the local token.
var localUser = User{Role: ident.RoleAdmin, Workspace: ident.Local}
