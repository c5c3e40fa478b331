package account_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"byline/internal/account"
	"byline/internal/engine/passhash"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/store/storetest"
)

const password = "correct horse battery"

var secret = []byte("a key of at least thirty-two bytes, for tests")

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func service(t *testing.T, s account.Store, change func(*account.Options)) (*account.Service, *clock) {
	t.Helper()
	o := account.Options{Secret: secret, Algorithm: "HS256", AccessTTL: 15 * time.Minute, RefreshTTL: 7 * 24 * time.Hour, PasswordHash: account.Argon2id,
		Registration: account.Invite, SetupToken: "setup", LocalToken: "local", Hashers: passhash.NewPool(passhash.Options{Workers: 2})}
	if change != nil {
		change(&o)
	}
	c := &clock{t: time.Now()}
	a, err := account.New(s, o, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func first(t *testing.T, a *account.Service) account.User {
	t.Helper()
	u, err := a.Register(t.Context(), account.Registering{Email: "Ann@Example.org ", Password: password, FullName: "Ann", Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWhoMayRegister(t *testing.T) {
	for name, tc := range map[string]struct {
		registration account.Registration
		taken        bool
		r            account.Registering
		code         string
	}{
		"the first from this machine":              {account.Closed, false, account.Registering{Loopback: true}, ""},
		"the first with the setup token":           {account.Invite, false, account.Registering{SetupToken: "setup"}, ""},
		"the first from elsewhere":                 {account.Open, false, account.Registering{}, "setup_token_required"},
		"the first with a wrong token":             {account.Open, false, account.Registering{SetupToken: "guess"}, "setup_token_required"},
		"another when open":                        {account.Open, true, account.Registering{}, ""},
		"another by invitation only":               {account.Invite, true, account.Registering{Loopback: true}, "invite_only"},
		"another when closed, token or not":        {account.Closed, true, account.Registering{SetupToken: "setup"}, "registration_closed"},
		"an address that is none":                  {account.Open, true, account.Registering{Email: "nobody"}, "bad_email"},
		"an address with a name":                   {account.Open, true, account.Registering{Email: "Eve <eve@example.org>"}, "bad_email"},
		"an address that is taken":                 {account.Open, true, account.Registering{Email: "ANN@example.org"}, "email_taken"},
		"a short password":                         {account.Open, true, account.Registering{Password: "short"}, "password_too_short"},
		"a password that would take long to hash":  {account.Open, true, account.Registering{Password: strings.Repeat("x", 2000)}, "password_too_long"},
		"a name with a line break, as in a header": {account.Open, true, account.Registering{FullName: "Eve\r\nX: y"}, "bad_name"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := service(t, storetest.New(t), func(o *account.Options) { o.Registration = tc.registration })
			if tc.taken {
				first(t, a)
			}
			if tc.r.Email == "" {
				tc.r.Email = "bob@example.org"
			}
			if tc.r.Password == "" {
				tc.r.Password = password
			}
			u, err := a.Register(t.Context(), tc.r)
			if code(err) != tc.code {
				t.Fatalf("got %v, want %q", err, tc.code)
			}
			if want := map[bool]ident.Role{true: ident.RoleMember, false: ident.RoleAdmin}[tc.taken]; err == nil && u.Role != want {
				t.Errorf("role %s, want %s", u.Role, want)
			}
		})
	}
}

func TestOfManyFirstOnesOneIs(t *testing.T) {
	a, _ := service(t, storetest.New(t), nil)
	var won, lost int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			_, err := a.Register(t.Context(), account.Registering{Email: string(rune('a'+i)) + "@example.org", Password: password, Loopback: true})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if code(err) == "invite_only" || code(err) == "busy" {
				lost++
			} else {
				t.Errorf("lost with %v", err)
			}
		})
	}
	all.Wait()
	if won != 1 || lost != 5 {
		t.Errorf("%d won, %d lost", won, lost)
	}
}

func TestLogin(t *testing.T) {
	for _, method := range []string{account.Argon2id, account.Bcrypt} {
		t.Run(method, func(t *testing.T) {
			s := storetest.New(t)
			a, _ := service(t, s, func(o *account.Options) { o.PasswordHash = method })
			u := first(t, a)
			stored, err := s.User(t.Context(), u.ID)
			if err != nil || strings.Contains(stored.PasswordHash, password) || !strings.HasPrefix(stored.PasswordHash, map[string]string{account.Argon2id: "$argon2id$v=19$m=19456,t=4,p=1$", account.Bcrypt: "$2a$12$"}[method]) {
				t.Fatalf("stored %q, %v", stored.PasswordHash, err)
			}
			tokens, err := a.Login(t.Context(), " ANN@example.org", password)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Authenticate(t.Context(), tokens.Access)
			if err != nil || got.ID != u.ID || got.Principal() != (ident.Principal{UserID: u.ID, Workspace: ident.Local, Role: ident.RoleAdmin}) {
				t.Errorf("%v %+v", err, got)
			}
			for _, c := range [][2]string{{"ann@example.org", "wrong password"}, {"bob@example.org", password}, {"", ""}, {"ann@example.org", strings.Repeat("x", 5000)}} {
				if _, err := a.Login(t.Context(), c[0], c[1]); code(err) != "wrong_credentials" {
					t.Errorf("%q: %v", c[0], err)
				}
			}
		})
	}
}

// A password that is stored in the way that is not configured any more is stored anew at the next login.
func TestLoginMovesToTheConfiguredHash(t *testing.T) {
	s := storetest.New(t)
	old, _ := service(t, s, func(o *account.Options) { o.PasswordHash = account.Bcrypt })
	u := first(t, old)
	a, _ := service(t, s, nil)
	for range 2 {
		if _, err := a.Login(t.Context(), u.Email, password); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := s.User(t.Context(), u.ID); err != nil || !strings.HasPrefix(now.PasswordHash, "$argon2id$") {
		t.Errorf("%q %v", now.PasswordHash, err)
	}
}

func TestBcryptRefusesWhatItWouldNotSee(t *testing.T) {
	a, _ := service(t, storetest.New(t), func(o *account.Options) { o.PasswordHash = account.Bcrypt })
	_, err := a.Register(t.Context(), account.Registering{Email: "ann@example.org", Password: strings.Repeat("x", 73), Loopback: true})
	if code(err) != "password_too_long" {
		t.Errorf("got %v", err)
	}
}

func TestDamagedHashIsNoLogin(t *testing.T) {
	s := storetest.New(t)
	a, _ := service(t, s, nil)
	u := first(t, a)
	for _, hash := range []string{"", "plain", "$argon2id$v=19$m=x,t=2,p=1$AA$AA", "$argon2id$v=19$m=19456,t=0,p=1$AA$AA", "$argon2id$v=19$m=99999999,t=2,p=1$AA$AA", "$argon2id$v=19$m=19456,t=2,p=1$!$!"} {
		u.PasswordHash = hash
		if err := s.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Login(t.Context(), u.Email, password); err == nil {
			t.Errorf("logged in with the hash %q", hash)
		}
	}
}

// Nobody gets in with a token that this service did not make for now.
func TestForgedTokens(t *testing.T) {
	s := storetest.New(t)
	a, c := service(t, s, nil)
	u := first(t, a)
	good := func() jwt.RegisteredClaims {
		return jwt.RegisteredClaims{Issuer: "byline", Audience: jwt.ClaimStrings{"byline"}, Subject: u.ID, ExpiresAt: jwt.NewNumericDate(c.now().Add(time.Minute))}
	}
	sign := func(m jwt.SigningMethod, key any, change func(*jwt.RegisteredClaims)) string {
		claims := good()
		if change != nil {
			change(&claims)
		}
		token, err := jwt.NewWithClaims(m, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if _, err := a.Authenticate(t.Context(), sign(jwt.SigningMethodHS256, secret, nil)); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	parts := strings.Split(sign(jwt.SigningMethodHS256, secret, nil), ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"` + ident.New() + `","iss":"byline","aud":["byline"],"exp":99999999999}`))
	for name, token := range map[string]string{
		"no algorithm":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"another algorithm": sign(jwt.SigningMethodHS512, secret, nil),
		"another key":       sign(jwt.SigningMethodHS256, []byte("another key of at least thirty-two bytes"), nil),
		"another audience":  sign(jwt.SigningMethodHS256, secret, func(c *jwt.RegisteredClaims) { c.Audience = jwt.ClaimStrings{"x"} }),
		"another issuer":    sign(jwt.SigningMethodHS256, secret, func(c *jwt.RegisteredClaims) { c.Issuer = "x" }),
		"no end":            sign(jwt.SigningMethodHS256, secret, func(c *jwt.RegisteredClaims) { c.ExpiresAt = nil }),
		"an unknown user":   sign(jwt.SigningMethodHS256, secret, func(c *jwt.RegisteredClaims) { c.Subject = ident.New() }),
		"changed claims":    parts[0] + "." + other + "." + parts[2],
		"nothing":           "",
		"nonsense":          "a.b.c",
		"a wrong local one": "loca",
	} {
		if _, err := a.Authenticate(t.Context(), token); code(err) != "bad_token" {
			t.Errorf("%s: %v", name, err)
		}
	}
	expired := sign(jwt.SigningMethodHS256, secret, nil)
	c.add(time.Minute + 29*time.Second)
	if _, err := a.Authenticate(t.Context(), expired); err != nil {
		t.Errorf("within the leeway between two clocks: %v", err)
	}
	c.add(2 * time.Second)
	if _, err := a.Authenticate(t.Context(), expired); code(err) != "token_expired" {
		t.Errorf("expired: %v", err)
	}
	if local, err := a.Authenticate(t.Context(), "local"); err != nil || local.Workspace != ident.Local || local.ID != "" {
		t.Errorf("the local token: %v %+v", err, local)
	}
}

func TestNoLocalTokenIsNoKey(t *testing.T) {
	a, _ := service(t, storetest.New(t), func(o *account.Options) { o.LocalToken, o.SetupToken = "", "" })
	if _, err := a.Authenticate(t.Context(), ""); code(err) != "bad_token" {
		t.Errorf("an empty token: %v", err)
	}
	if _, err := a.Register(t.Context(), account.Registering{Email: "a@example.org", Password: password}); code(err) != "setup_token_required" {
		t.Errorf("an empty setup token: %v", err)
	}
}

func TestRefreshRotates(t *testing.T) {
	a, _ := service(t, storetest.New(t), nil)
	first(t, a)
	login, err := a.Login(t.Context(), "ann@example.org", password)
	if err != nil {
		t.Fatal(err)
	}
	next, err := a.Refresh(t.Context(), login.Refresh)
	if err != nil || next.Refresh == login.Refresh {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), next.Access); err != nil {
		t.Error(err)
	}
	if _, err := a.Refresh(t.Context(), login.Refresh); err != nil { // the answer was lost: within 20 s it may be asked for again
		t.Errorf("again within the grace: %v", err)
	}
	if err := a.Logout(t.Context(), next.Refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Refresh(t.Context(), next.Refresh); err == nil {
		t.Error("refreshed after logout")
	}
	if err := a.Logout(t.Context(), "blr_unknown"); err != nil {
		t.Errorf("logout of nobody: %v", err)
	}
}

// A burst of logins waits, a little; then the rest are told to come again, and requests that need no hash go on.
func TestStormOfLogins(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the queue's two seconds")
	}
	a, _ := service(t, storetest.New(t), func(o *account.Options) { o.PasswordHash = account.Bcrypt })
	first(t, a)
	var all sync.WaitGroup
	var mu sync.Mutex
	busy := 0
	for range 60 {
		all.Go(func() {
			_, err := a.Login(t.Context(), "ann@example.org", password)
			if code(err) != "busy" && err != nil {
				t.Errorf("%v", err)
			}
			if err != nil {
				mu.Lock()
				busy++
				mu.Unlock()
				if f := fault.Of(err); f.Kind != fault.Unavailable || f.RetryAfter <= 0 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
	all.Wait()
	if busy == 0 || busy == 60 {
		t.Errorf("%d of 60 were refused", busy)
	}
}

func TestCancelledLogin(t *testing.T) {
	a, _ := service(t, storetest.New(t), nil)
	first(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Login(ctx, "ann@example.org", password); err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAdminAddsAccounts(t *testing.T) {
	a, _ := service(t, storetest.New(t), func(o *account.Options) { o.Registration = account.Closed })
	first(t, a)
	u, err := a.Add(t.Context(), "bob@example.org", password, "Bob")
	if err != nil || u.Role != ident.RoleMember || u.Workspace == ident.Local {
		t.Errorf("%v %+v", err, u)
	}
	if _, err := a.Add(t.Context(), "bob", password, ""); code(err) != "bad_email" {
		t.Errorf("%v", err)
	}
	all, err := a.Users(t.Context())
	if err != nil || len(all) != 2 || all[0].Email != "ann@example.org" {
		t.Errorf("%v %+v", err, all)
	}
	if has, err := a.HasUsers(t.Context()); !has || err != nil {
		t.Error(has, err)
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	if _, err := account.New(storetest.New(t), account.Options{Algorithm: "RS999", PasswordHash: account.Argon2id}, nil); code(err) != "bad_algorithm" {
		t.Errorf("got %v", err)
	}
}
