// Package account says who may do what: accounts, their tokens and their workspaces.
package account

import (
	"context"
	"time"

	"byline/internal/fault"
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
	// AddUser creates an account with its personal workspace. The very first one becomes admin, and the local workspace
	// with all that the command line made becomes its own. A taken e-mail is ErrEmailTaken.
	// With onlyFirst it is refused (ErrNotFirst) when there is an account already.
	AddUser(ctx context.Context, u User, onlyFirst bool) (User, error)
	HasUsers(ctx context.Context) (bool, error)
	// User and UserByEmail answer fault.Missing("account") when there is none.
	User(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	Users(ctx context.Context) ([]User, error)
	// UpdateUser writes name, role and password hash.
	UpdateUser(ctx context.Context, u User) error
	// AddRefresh stores the first link of a family.
	AddRefresh(ctx context.Context, t RefreshToken) error
	// Rotate exchanges the link with hash old for next, whose family and user are filled in and returned. A link that was
	// used longer ago than grace, or revoked, kills its family: ErrReuse. An unknown or expired one is ErrExpired.
	// Within the grace after its use the exchange is repeated: a further link is added to the family.
	Rotate(ctx context.Context, old string, next RefreshToken, grace time.Duration) (RefreshToken, error)
	// RevokeFamily ends the login that the link with this hash belongs to. An unknown hash is no error.
	RevokeFamily(ctx context.Context, hash string) error
	// AddTicket keeps a ticket for a time, by the clock of the store, which all replicas share.
	AddTicket(ctx context.Context, t Ticket, life time.Duration) error
	// TakeTicket removes the ticket with a hash and gives it. One that is not there, or too old, is ErrTicket.
	TakeTicket(ctx context.Context, hash string) (Ticket, error)
	// Revoked gives those of the accounts that are not there any more, and those of the logins that were ended, families of refresh
	// tokens and API keys (KeyLogin), in one look.
	Revoked(ctx context.Context, users, logins map[string]bool) (map[string]bool, error)
	Keys
}

// What a store answers besides.
var (
	ErrNotFirst   = fault.New(fault.Conflict, "not_first", "There is an account already. Log in with it.")
	ErrEmailTaken = fault.New(fault.Conflict, "email_taken", "There is an account with this e-mail address. Log in, or use another address.")
	ErrReuse      = fault.New(fault.Unauthenticated, "token_reused", "This login was ended because an old refresh token was used again. Log in again.")
	ErrExpired    = fault.New(fault.Unauthenticated, "token_expired", "This refresh token is not valid any more. Log in again.")
)
