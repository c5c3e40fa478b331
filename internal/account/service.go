package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/text/unicode/norm"

	"byline/internal/engine/passhash"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Registration says who may open an account after the first one.
type Registration string

// The ways of registration.
const (
	Invite Registration = "invite" // an admin adds accounts
	Open   Registration = "open"
	Closed Registration = "closed"
)

// Options of a Service; all are needed but SetupToken and LocalToken.
type Options struct {
	Secret       []byte // signs access tokens
	Algorithm    string // HS256, HS384, HS512
	AccessTTL    time.Duration
	RefreshTTL   time.Duration
	PasswordHash string // Argon2id or Bcrypt
	Hashers      *passhash.Pool
	Registration Registration
	SetupToken   string // lets the first account be opened from another machine; empty: only from this one
	LocalToken   string // lets the command line act in the local workspace through a running server
}

// Tokens are what a login gives.
type Tokens struct {
	Access    string
	Refresh   string
	ExpiresIn time.Duration // of Access
}

// Service opens accounts and checks who acts. It is safe for concurrent use.
type Service struct {
	store  Store
	o      Options
	method jwt.SigningMethod
	parser *jwt.Parser // of access tokens
	passes *jwt.Parser
	hasher *hasher
	decoy  string // a hash to check when there is no account, so that both take the same time
	now    func() time.Time

	counting sync.Mutex
	uses     map[string]Uses // of API keys, until KeepUses
}

const (
	issuer  = "byline"
	grace   = 20 * time.Second // in which a refresh may be repeated
	leeway  = 30 * time.Second // between the clocks of two replicas
	maxName = 200              // bytes
)

// New makes a service. now is the clock of tokens; nil is time.Now.
func New(store Store, o Options, now func() time.Time) (*Service, error) {
	if now == nil {
		now = time.Now
	}
	s := &Service{store: store, o: o, method: jwt.GetSigningMethod(o.Algorithm), hasher: &hasher{passhash.Method(o.PasswordHash), o.Hashers}, now: now, uses: map[string]Uses{}}
	if s.method == nil {
		return nil, fault.New(fault.Invalid, "bad_algorithm", "ALGORITHM is HS256, HS384 or HS512, not %q.", o.Algorithm)
	}
	parser := func(audience string) *jwt.Parser {
		return jwt.NewParser(jwt.WithValidMethods([]string{o.Algorithm}), jwt.WithAudience(audience), jwt.WithIssuer(issuer),
			jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now))
	}
	s.parser, s.passes = parser(issuer), parser(passAudience)
	s.decoy = passhash.Decoy(s.hasher.method)
	return s, nil
}

// Registering asks for an account.
type Registering struct {
	Email, Password, FullName string
	Loopback                  bool   // the request comes from this very machine
	SetupToken                string // as it was given
}

// Register opens an account. The first one is admin and takes over what the command line made; it may be opened from
// this machine, or with the setup token. Later ones need Registration Open.
func (s *Service) Register(ctx context.Context, r Registering) (User, error) {
	u, err := s.newUser(r.Email, r.Password, r.FullName)
	if err != nil {
		return User{}, err
	}
	taken, err := s.store.HasUsers(ctx)
	if err != nil {
		return User{}, err
	}
	onlyFirst := s.o.Registration != Open
	if taken && onlyFirst {
		return User{}, s.closed()
	}
	if !taken && !r.Loopback && !same(r.SetupToken, s.o.SetupToken) {
		return User{}, fault.New(fault.Forbidden, "setup_token_required",
			"The first account is opened from the machine itself, or with the setup token that `byline serve` prints (header X-Setup-Token).")
	}
	u, err = s.add(ctx, u, r.Password, onlyFirst)
	if errors.Is(err, ErrNotFirst) {
		return User{}, s.closed()
	}
	return u, err
}

// Add opens an account on an admin's word.
func (s *Service) Add(ctx context.Context, email, password, fullName string) (User, error) {
	u, err := s.newUser(email, password, fullName)
	if err != nil {
		return User{}, err
	}
	return s.add(ctx, u, password, false)
}

func (s *Service) closed() error {
	if s.o.Registration == Closed {
		return fault.New(fault.Forbidden, "registration_closed", "This installation opens no further accounts.")
	}
	return fault.New(fault.Forbidden, "invite_only", "An admin of this installation opens accounts, with `byline user add EMAIL`.")
}

func (s *Service) newUser(email, password, fullName string) (User, error) {
	email, err := cleanEmail(email)
	if err != nil {
		return User{}, err
	}
	if err := s.hasher.validate(password); err != nil {
		return User{}, err
	}
	fullName = strings.TrimSpace(fullName)
	if len(fullName) > maxName || strings.ContainsFunc(fullName, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return User{}, fault.Bad("body.full_name", "bad_name", "A name has at most %d bytes and no control characters.", maxName)
	}
	return User{ID: ident.New(), Email: email, FullName: norm.NFC.String(fullName), Role: ident.RoleMember, CreatedAt: s.now()}, nil
}

func (s *Service) add(ctx context.Context, u User, password string, onlyFirst bool) (User, error) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	u.PasswordHash = hash
	return s.store.AddUser(ctx, u, onlyFirst)
}

// Login exchanges e-mail and password for tokens. A wrong password and an unknown e-mail answer alike, in the same time.
func (s *Service) Login(ctx context.Context, email, password string) (Tokens, error) {
	wrong := fault.New(fault.Unauthenticated, "wrong_credentials", "E-mail or password is wrong.")
	email, err := cleanEmail(email)
	if err != nil || len(password) > maxPassword {
		return Tokens{}, wrong
	}
	u, err := s.store.UserByEmail(ctx, email)
	missing := err != nil && fault.Of(err).Kind == fault.NotFound
	if err != nil && !missing {
		return Tokens{}, err
	}
	hash := u.PasswordHash
	if missing {
		hash = s.decoy
	}
	ok, outdated, err := s.hasher.check(ctx, hash, password)
	switch {
	case err != nil:
		return Tokens{}, err
	case !ok || missing:
		return Tokens{}, wrong
	}
	if outdated && s.hasher.validate(password) == nil {
		if u.PasswordHash, err = s.hasher.hash(ctx, password); err != nil {
			return Tokens{}, err
		}
		if err := s.store.UpdateUser(ctx, u); err != nil {
			return Tokens{}, err
		}
	}
	refresh := newToken("blr_")
	link := s.link(refresh)
	link.Family, link.UserID = ident.New(), u.ID
	if err := s.store.AddRefresh(ctx, link); err != nil {
		return Tokens{}, err
	}
	return s.tokens(link, refresh)
}

// Refresh exchanges a refresh token for new tokens. One that was exchanged before ends the whole login: somebody
// else has it.
func (s *Service) Refresh(ctx context.Context, refresh string) (Tokens, error) {
	next := newToken("blr_")
	link, err := s.store.Rotate(ctx, digest(refresh), s.link(next), grace)
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(link, next)
}

// Logout ends the login that a refresh token belongs to.
func (s *Service) Logout(ctx context.Context, refresh string) error {
	return s.store.RevokeFamily(ctx, digest(refresh))
}

func (s *Service) link(token string) RefreshToken {
	now := s.now()
	return RefreshToken{Hash: digest(token), CreatedAt: now, ExpiresAt: now.Add(s.o.RefreshTTL)}
}

func (s *Service) tokens(link RefreshToken, refresh string) (Tokens, error) {
	access, err := s.sign(claims{Login: link.Family}, issuer, link.UserID, s.now().Add(s.o.AccessTTL))
	return Tokens{Access: access, Refresh: refresh, ExpiresIn: s.o.AccessTTL}, err
}

// Authenticate checks an access token and finds its account. The local token gives an account without an id, in the
// local workspace.
func (s *Service) Authenticate(ctx context.Context, token string) (User, error) {
	u, _, err := s.Admit(ctx, token)
	return u, err
}

// Admit is Authenticate that also gives the right that comes with the token: to follow streams, and what an API key may do.
func (s *Service) Admit(ctx context.Context, token string) (User, Grant, error) {
	if same(token, s.o.LocalToken) {
		return localUser, Grant{}, nil
	}
	if strings.HasPrefix(token, keyPrefix) {
		return s.admitKey(ctx, token)
	}
	var c claims
	if _, err := s.parser.ParseWithClaims(token, &c, s.key); err != nil {
		if errors.Is(err, jwt.ErrTokenExpired) {
			return User{}, Grant{}, ErrOver.Because(err)
		}
		return User{}, Grant{}, fault.New(fault.Unauthenticated, "bad_token", "The access token is not valid. Log in again.").Because(err)
	}
	u, err := s.store.User(ctx, c.Subject)
	if err != nil && fault.Of(err).Kind == fault.NotFound {
		return User{}, Grant{}, fault.New(fault.Unauthenticated, "bad_token", "The access token is not valid. Log in again.").Because(err)
	}
	return u, c.grant(), err
}

// HasUsers tells whether anybody has an account.
func (s *Service) HasUsers(ctx context.Context) (bool, error) { return s.store.HasUsers(ctx) }

// Users lists all accounts, oldest first.
func (s *Service) Users(ctx context.Context) ([]User, error) { return s.store.Users(ctx) }

// Principal is who acts with this account.
func (u User) Principal() ident.Principal {
	return ident.Principal{UserID: u.ID, Workspace: u.Workspace, Role: u.Role}
}

func cleanEmail(s string) (string, error) {
	s = strings.ToLower(norm.NFC.String(strings.TrimSpace(s)))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 {
		return "", fault.Bad("body.email", "bad_email", "This is not an e-mail address; write it as name@example.com.")
	}
	return s, nil
}

// newToken makes 256 random bits with a prefix that tells scanners for leaked secrets what it is.
func newToken(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// same compares secrets in constant time; an empty one is never the same.
func same(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
