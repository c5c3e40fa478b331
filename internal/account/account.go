// Package account says who may do what: accounts, their tokens and their workspaces.
package account

import (
	"context"
	"time"

	"byline/internal/ident"
)

// User is an account.
type User struct {
	ID           string
	Email        string // lower case, NFC
	FullName     string
	Role         ident.Role
	Workspace    ident.Workspace // the personal one
	PasswordHash string          // argon2id or bcrypt in their usual encodings
	CreatedAt    time.Time
}

// RefreshToken is one link of a family: a login starts a family, each refresh adds a link. Only the hash is kept.
type RefreshToken struct {
	Hash      string // hex SHA-256 of the token
	Family    string
	UserID    string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero until it was exchanged
	Next      string    // hash of the link that it was exchanged for
	Revoked   bool      // with its whole family
}

// Store of accounts. Each method is one transaction.
type Store interface {
	// AddUser creates an account with its personal workspace. The very first one becomes admin and takes over the
	// local workspace (ident.Local and all its rows): first says so. A taken e-mail is fault.Conflict email_taken.
	// With onlyFirst it is refused (ErrNotFirst) when there already is an account.
	AddUser(ctx context.Context, u User, onlyFirst bool) (added User, first bool, err error)
	User(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	Users(ctx context.Context) ([]User, error)
	UpdateUser(ctx context.Context, u User) error
	// AddRefresh stores the first link of a family.
	AddRefresh(ctx context.Context, t RefreshToken) error
	// Rotate exchanges the link with hash old for next (whose family and user are filled in).
	// A link that was used before its grace began, was revoked or ran out kills the family: ErrReuse / ErrExpired.
	// Within the grace after its use the exchange is repeated: a further link is added.
	Rotate(ctx context.Context, old string, next RefreshToken, grace time.Duration) (RefreshToken, error)
	// RevokeFamily ends a login.
	RevokeFamily(ctx context.Context, hash string) error
}
