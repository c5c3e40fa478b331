package httpapi

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
)

type registerIn struct {
	SetupToken string `header:"X-Setup-Token" doc:"Opens the first account from another machine; byline serve prints it"`
	Body       struct {
		Strict
		Email    string `json:"email" maxLength:"254" example:"name@example.com"`
		Password string `json:"password" maxLength:"1024" doc:"At least 8 characters"`
		FullName string `json:"full_name,omitempty" maxLength:"200"`
	}

	loopback bool
}

// Resolve looks at the connection, which huma's inputs cannot name.
func (in *registerIn) Resolve(c huma.Context) []error {
	r, _ := humago.Unwrap(c)
	in.loopback = loopback(r)
	return nil
}

type userOut struct{ Body userShape }

func (s *server) register(ctx context.Context, in *registerIn) (*userOut, error) {
	u, err := s.Accounts.Register(ctx, account.Registering{Email: in.Body.Email, Password: in.Body.Password, FullName: in.Body.FullName,
		Loopback: in.loopback, SetupToken: in.SetupToken})
	if err != nil {
		return nil, err
	}
	return &userOut{toUser(u)}, nil
}

type loginIn struct {
	Body struct {
		Strict
		Email    string `json:"email"`
		Password string `json:"password"`
	}
}

type tokensOut struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		TokenType    string `json:"token_type" enum:"bearer"`
		ExpiresIn    int    `json:"expires_in" doc:"Seconds until the access token runs out"`
	}
}

func toTokens(t account.Tokens) *tokensOut {
	out := &tokensOut{CacheControl: "no-store"}
	out.Body.AccessToken, out.Body.RefreshToken, out.Body.TokenType = t.Access, t.Refresh, "bearer"
	out.Body.ExpiresIn = int(t.ExpiresIn.Seconds())
	return out
}

func (s *server) login(ctx context.Context, in *loginIn) (*tokensOut, error) {
	t, err := s.Accounts.Login(ctx, in.Body.Email, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return toTokens(t), nil
}

type refreshIn struct {
	Body struct {
		Strict
		RefreshToken string `json:"refresh_token"`
	}
}

func (s *server) refresh(ctx context.Context, in *refreshIn) (*tokensOut, error) {
	t, err := s.Accounts.Refresh(ctx, in.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	return toTokens(t), nil
}

func (s *server) logout(ctx context.Context, in *refreshIn) (*struct{}, error) {
	return nil, s.Accounts.Logout(ctx, in.Body.RefreshToken)
}

func (s *server) me(ctx context.Context, _ *struct{}) (*userOut, error) {
	return &userOut{toUser(userOf(ctx))}, nil
}

// wantsStream tells whether the client asked for an event stream: exactly when it accepts one by name.
func wantsStream(r *http.Request) bool {
	for _, v := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(v, ",") {
			if media, _, err := mime.ParseMediaType(part); err == nil && media == "text/event-stream" {
				return true
			}
		}
	}
	return false
}

type addUserIn struct {
	Body struct {
		Strict
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" maxLength:"1024"`
		FullName string `json:"full_name,omitempty" maxLength:"200"`
	}
}

// admin refuses everybody else.
func admin(ctx context.Context) error {
	if userOf(ctx).Role != ident.RoleAdmin {
		return fault.New(fault.Forbidden, "admin_only", "Only an admin of this installation can do this.")
	}
	return nil
}

func (s *server) addUser(ctx context.Context, in *addUserIn) (*userOut, error) {
	if err := admin(ctx); err != nil {
		return nil, err
	}
	u, err := s.Accounts.Add(ctx, in.Body.Email, in.Body.Password, in.Body.FullName)
	return &userOut{toUser(u)}, err
}

type usersOut struct {
	Body struct {
		Users []userShape `json:"users"`
		Total int         `json:"total"`
		Next  *string     `json:"next" nullable:"true"`
	}
}

func (s *server) listUsers(ctx context.Context, _ *struct{}) (*usersOut, error) {
	if err := admin(ctx); err != nil {
		return nil, err
	}
	all, err := s.Accounts.Users(ctx)
	if err != nil {
		return nil, err
	}
	out := &usersOut{}
	out.Body.Users, out.Body.Total = []userShape{}, len(all)
	for _, u := range all {
		out.Body.Users = append(out.Body.Users, toUser(u))
	}
	return out, nil
}
