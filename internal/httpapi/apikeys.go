package httpapi

import (
	"context"
	"time"

	"byline/internal/account"
)

// KeyPath names an API key.
type KeyPath struct {
	ID string `path:"key_id"`
}

type apiKeyShape struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Prefix   string     `json:"prefix" doc:"How the key begins"`
	Scopes   []string   `json:"scopes" doc:"read: look, search and ask; write: add, change and delete, too; admin: what only admins may, and API keys, too"`
	Created  time.Time  `json:"created_at"`
	Expires  *time.Time `json:"expires_at,omitempty" doc:"Missing when it never runs out"`
	LastUsed *time.Time `json:"last_used_at,omitempty"`
	Uses     int64      `json:"uses" doc:"Requests so far"`
}

func toAPIKey(k account.Key) apiKeyShape {
	out := apiKeyShape{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: []string{}, Created: k.CreatedAt.UTC(), Uses: k.Uses}
	for _, s := range []account.Scope{account.ScopeRead, account.ScopeWrite, account.ScopeAdmin} {
		if k.Scope.Covers(s) {
			out.Scopes = append(out.Scopes, string(s))
		}
	}
	maybe := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	out.Expires, out.LastUsed = maybe(k.ExpiresAt), maybe(k.UsedAt)
	return out
}

type addKeyIn struct {
	Body struct {
		Strict
		Name   string   `json:"name" maxLength:"200" doc:"What it is for"`
		Days   int      `json:"expires_in_days,omitempty" minimum:"1" doc:"It runs out then; never, when this is missing"`
		Scopes []string `json:"scopes,omitempty" minItems:"1" doc:"read, write, admin; read and write when it is missing. A key makes no key that may more or lasts longer than itself"`
	}
}

type newKeyShape struct {
	apiKeyShape
	Key string `json:"key" doc:"The key itself. It is shown this once; keep it where nobody else reads it"`
}

type newKeyOut struct {
	CacheControl string `header:"Cache-Control"`
	Body         newKeyShape
}

func (s *server) addKey(ctx context.Context, in *addKeyIn) (*newKeyOut, error) {
	a := account.Adding{Name: in.Body.Name, Days: in.Body.Days}
	for _, scope := range in.Body.Scopes {
		a.Scopes = append(a.Scopes, account.Scope(scope))
	}
	k, key, err := s.Accounts.AddKey(ctx, userOf(ctx), grantOf(ctx), a)
	if err != nil {
		return nil, err
	}
	return &newKeyOut{"no-store", newKeyShape{toAPIKey(k), key}}, nil
}

type keysOut struct {
	Body struct {
		Keys  []apiKeyShape `json:"api_keys"`
		Total int           `json:"total"`
		Next  *string       `json:"next" nullable:"true"`
	}
}

func (s *server) listKeys(ctx context.Context, _ *struct{}) (*keysOut, error) {
	all, err := s.Accounts.Keys(ctx, userOf(ctx).ID)
	if err != nil {
		return nil, err
	}
	out := &keysOut{}
	out.Body.Keys, out.Body.Total = []apiKeyShape{}, len(all)
	for _, k := range all {
		out.Body.Keys = append(out.Body.Keys, toAPIKey(k))
	}
	return out, nil
}

func (s *server) deleteKey(ctx context.Context, in *KeyPath) (*struct{}, error) {
	if err := idParam("API key", in.ID); err != nil {
		return nil, err
	}
	return nil, s.Accounts.RemoveKey(ctx, userOf(ctx).ID, in.ID)
}
