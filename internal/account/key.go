package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Scope is what a request needs of an API key, and what a key may do: one that may write may read, and one of an admin both. It gives
// nobody what the account may not do.
type Scope string

// The scopes.
const (
	ScopeRead  Scope = "read"  // look, search and ask
	ScopeWrite Scope = "write" // add, change, delete
	ScopeAdmin Scope = "admin" // what only admins may, and API keys
)

var scopes = []Scope{ScopeRead, ScopeWrite, ScopeAdmin}

// Covers tells whether a right with this scope is enough for what needs another. A login, whose scope is empty, may do everything.
func (s Scope) Covers(need Scope) bool {
	return s == "" || slices.Index(scopes, s) >= slices.Index(scopes, need)
}

// Key is an API key: a right of its own to act as an account, for programs. Only its hash is kept.
type Key struct {
	ID        string
	UserID    string
	Name      string
	Prefix    string // of the key, so that people know which it is
	Hash      string // hex SHA-256
	Scope     Scope  // the widest that it has
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	UsedAt    time.Time // last; zero: never
	Uses      int64     // requests
}

// Uses are requests with a key that are not counted in the store yet.
type Uses struct {
	Count int64
	Last  time.Time
}

// Keys of accounts. Each method is one transaction.
type Keys interface {
	// AddKey keeps a key, unless its account has as many as it may have: ErrKeys.
	AddKey(ctx context.Context, k Key, most int) error
	// AccountKeys lists an account's, oldest first.
	AccountKeys(ctx context.Context, userID string) ([]Key, error)
	// RemoveKey ends a key. One that is not the account's is fault.Missing("API key").
	RemoveKey(ctx context.Context, userID, id string) error
	// KeyOwner finds a key by its hash, with its account: fault.Missing("API key").
	KeyOwner(ctx context.Context, hash string) (Key, User, error)
	// CountUses adds what was used since.
	CountUses(ctx context.Context, uses map[string]Uses) error
}

// What comes of keys that are none.
var (
	ErrKey  = fault.New(fault.Unauthenticated, "bad_api_key", "This API key is not valid: it was removed, has run out, or never was one.")
	ErrKeys = fault.New(fault.Conflict, "too_many_keys", "An account has at most %d API keys. Remove one first.", mostKeys)
)

const (
	keyPrefix = "bl_"
	shown     = len(keyPrefix) + 6 // characters of a key
	mostKeys  = 100
	mostDays  = 3660
	// KeyLogin begins the login of a Grant that came with a key; its id follows.
	KeyLogin = "key:"
)

// Adding asks for a key.
type Adding struct {
	Name   string
	Days   int     // until it runs out; 0: never
	Scopes []Scope // none: read and write
}

// AddKey makes a key of an account, by a right that must cover what the key may do, and gives it, once. A key makes none that lasts longer than itself.
func (s *Service) AddKey(ctx context.Context, u User, by Grant, a Adding) (k Key, key string, err error) {
	k = Key{ID: ident.New(), UserID: u.ID, Name: norm.NFC.String(strings.TrimSpace(a.Name)), Scope: ScopeWrite, CreatedAt: s.now()}
	if len(a.Scopes) > 0 {
		k.Scope = a.Scopes[0]
	}
	for _, scope := range a.Scopes {
		if !slices.Contains(scopes, scope) {
			return Key{}, "", fault.Bad("body.scopes", "bad_scope", "A scope is read, write or admin, not %q.", scope)
		}
		if scope.Covers(k.Scope) {
			k.Scope = scope
		}
	}
	if a.Days > 0 {
		k.ExpiresAt = k.CreatedAt.AddDate(0, 0, a.Days)
	}
	ends := strings.HasPrefix(by.Login, KeyLogin) && !by.Until.IsZero()
	switch {
	case u.ID == "":
		return Key{}, "", fault.New(fault.Forbidden, "no_account", "API keys belong to accounts. Log in first.")
	case k.Name == "" || len(k.Name) > maxName || strings.ContainsFunc(k.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Key{}, "", fault.Bad("body.name", "bad_name", "A key has a name that says what it is for, of at most %d bytes and without control characters.", maxName)
	case a.Days < 0 || a.Days > mostDays:
		return Key{}, "", fault.Bad("body.expires_in_days", "bad_expiry", "A key runs out after 1 to %d days, or never, without this field.", mostDays)
	case !by.Scope.Covers(k.Scope):
		return Key{}, "", lacks(by.Scope, k.Scope)
	case ends && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(by.Until)):
		return Key{}, "", fault.Bad("body.expires_in_days", "outlives_its_maker", "The API key that you use runs out on %s. A key that it makes must not last longer.", by.Until.UTC().Format(time.RFC3339))
	}
	key = newToken(keyPrefix)
	k.Prefix, k.Hash = key[:shown], digest(key)
	return k, key, s.store.AddKey(ctx, k, mostKeys)
}

// lacks is the refusal of what a key's scope does not cover.
func lacks(has, needs Scope) error {
	return fault.New(fault.Forbidden, "insufficient_scope", "This API key has the scope %s; this needs one with %s.", has, needs)
}

// Needs refuses a right whose scope does not cover what is needed.
func (g Grant) Needs(need Scope) error {
	if !g.Scope.Covers(need) {
		return lacks(g.Scope, need)
	}
	return nil
}

// Keys lists an account's keys, with all uses so far.
func (s *Service) Keys(ctx context.Context, userID string) ([]Key, error) {
	if err := s.KeepUses(ctx); err != nil {
		return nil, err
	}
	return s.store.AccountKeys(ctx, userID)
}

// RemoveKey ends a key at once, and the streams that were opened by it within seconds.
func (s *Service) RemoveKey(ctx context.Context, userID, id string) error {
	return s.store.RemoveKey(ctx, userID, id)
}

// admitKey is Admit by an API key.
func (s *Service) admitKey(ctx context.Context, key string) (User, Grant, error) {
	k, u, err := s.store.KeyOwner(ctx, digest(key))
	now := s.now()
	switch {
	case err != nil && fault.Of(err).Kind == fault.NotFound:
		return User{}, Grant{}, ErrKey.Because(err)
	case err != nil:
		return User{}, Grant{}, err
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return User{}, Grant{}, ErrKey
	}
	s.counting.Lock()
	defer s.counting.Unlock()
	s.uses[k.ID] = Uses{s.uses[k.ID].Count + 1, now}
	return u, Grant{UserID: u.ID, Login: KeyLogin + k.ID, Until: k.ExpiresAt, Scope: k.Scope}, nil
}

// KeepUses writes the uses of keys since the last time. They are counted in memory: a request must not wait for a write.
func (s *Service) KeepUses(ctx context.Context) error {
	s.counting.Lock()
	uses := s.uses
	s.uses = map[string]Uses{}
	s.counting.Unlock()
	if len(uses) == 0 {
		return nil
	}
	err := s.store.CountUses(ctx, uses)
	if err == nil {
		return nil
	}
	s.counting.Lock()
	defer s.counting.Unlock()
	for id, u := range uses { // the next time
		now := s.uses[id]
		if now.Last.Before(u.Last) {
			now.Last = u.Last
		}
		s.uses[id] = Uses{now.Count + u.Count, now.Last}
	}
	return err
}
