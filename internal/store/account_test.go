package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestFirstAccountTakesTheLocalWorkspace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := library{TB: t, Store: s, ctx: t.Context()}
		d := l.upload(ident.Local, "a.md", "by the command line\n")
		if has, err := s.HasUsers(l.ctx); has || err != nil {
			t.Error("there is an account", err)
		}
		ann, err := s.AddUser(l.ctx, account.User{Email: "ann@example.org", FullName: "Ann", PasswordHash: "h"}, true)
		l.ok(err)
		if ann.Role != ident.RoleAdmin || ann.Workspace != ident.Local || ann.ID == "" || ann.CreatedAt.IsZero() {
			t.Errorf("got %+v", ann)
		}
		if _, err := l.Document(l.ctx, ann.Workspace, d.ID); err != nil {
			t.Error("the first account does not have what the command line made:", err)
		}
		if _, err := s.AddUser(l.ctx, account.User{Email: "bob@example.org"}, true); !errors.Is(err, account.ErrNotFirst) {
			t.Errorf("a second first account: %v", err)
		}
		if _, err := s.AddUser(l.ctx, account.User{Email: "ann@example.org"}, false); !errors.Is(err, account.ErrEmailTaken) {
			t.Errorf("a taken address: %v", err)
		}
		bob, err := s.AddUser(l.ctx, account.User{Email: "bob@example.org", PasswordHash: "h"}, false)
		l.ok(err)
		if bob.Role != ident.RoleMember || bob.Workspace == ann.Workspace {
			t.Errorf("got %+v", bob)
		}
		if _, err := l.Document(l.ctx, bob.Workspace, d.ID); err == nil {
			t.Error("the second account sees the first one's documents")
		}

		bob.FullName, bob.Role, bob.PasswordHash = "Bob", ident.RoleAdmin, "h2"
		l.ok(s.UpdateUser(l.ctx, bob))
		for _, read := range []func() (account.User, error){
			func() (account.User, error) { return s.User(l.ctx, bob.ID) },
			func() (account.User, error) { return s.UserByEmail(l.ctx, "bob@example.org") },
		} {
			got, err := read()
			l.ok(err)
			same(t, "user", got, bob)
		}
		bob.Email = ann.Email
		if err := s.UpdateUser(l.ctx, bob); !errors.Is(err, account.ErrEmailTaken) {
			t.Errorf("a taken address: %v", err)
		}
		if has, err := s.HasUsers(l.ctx); !has || err != nil {
			t.Error("there is no account", err)
		}
		list, err := s.Users(l.ctx)
		l.ok(err)
		if len(list) != 2 || list[0].ID != ann.ID {
			t.Errorf("got %+v", list)
		}
		_, err = s.User(l.ctx, "nobody")
		l.gone(err)
		_, err = s.UserByEmail(l.ctx, "nobody")
		l.gone(err)
		l.gone(s.UpdateUser(l.ctx, account.User{ID: "nobody", Email: "nobody"}))
	})
}

func TestOneOfTwoFirstAccountsIsFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := library{TB: t, Store: s, ctx: t.Context()}
		const n = 8
		users, errs := make([]account.User, n), make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				u := account.User{Email: fmt.Sprintf("u%d@example.org", i/2), PasswordHash: "h"} // each address twice
				users[i], errs[i] = s.AddUser(l.ctx, u, false)
			})
		}
		wg.Wait()
		admins, workspaces, taken := 0, map[ident.Workspace]bool{}, 0
		for i := range n {
			switch {
			case errors.Is(errs[i], account.ErrEmailTaken):
				taken++
				continue
			case errs[i] != nil:
				t.Error(errs[i])
			case (users[i].Role == ident.RoleAdmin) != (users[i].Workspace == ident.Local):
				t.Errorf("got %+v", users[i])
			}
			if users[i].Role == ident.RoleAdmin {
				admins++
			}
			workspaces[users[i].Workspace] = true
		}
		if admins != 1 || taken != n/2 || len(workspaces) != n/2 {
			t.Errorf("%d were first, %d were refused, %d workspaces", admins, taken, len(workspaces))
		}
	})
}

func TestRefreshTokensRotate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		users, err := s.Users(l.ctx)
		l.ok(err)
		start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		const grace, life = 20 * time.Second, time.Hour
		at := func(after time.Duration, hash string) account.RefreshToken {
			return account.RefreshToken{Hash: hash, Family: "other", UserID: "other", CreatedAt: start.Add(after), ExpiresAt: start.Add(after + life)}
		}
		login := func(family string) {
			f := at(0, family+"1")
			f.Family, f.UserID = family, users[0].ID
			l.ok(s.AddRefresh(l.ctx, f))
		}
		rotate := func(old string, after time.Duration, hash string) error {
			got, err := s.Rotate(l.ctx, old, at(after, hash), grace)
			if err == nil && (got.UserID != users[0].ID || got.Family != old[:1] || got.Hash != hash) {
				t.Errorf("got %+v", got)
			}
			return err
		}
		for i, c := range []struct {
			name  string
			steps func(f string) error // the last one's error
			want  error
		}{
			{"a chain", func(f string) error {
				l.ok(rotate(f+"1", time.Minute, f+"2"))
				return rotate(f+"2", 2*time.Minute, f+"3")
			}, nil},
			{"again within the grace", func(f string) error {
				l.ok(rotate(f+"1", time.Minute, f+"2"))
				l.ok(rotate(f+"1", time.Minute+grace, f+"3"))
				l.ok(rotate(f+"2", time.Minute+grace, f+"4"))
				return rotate(f+"3", time.Minute+grace, f+"5")
			}, nil},
			{"again after the grace", func(f string) error {
				l.ok(rotate(f+"1", time.Minute, f+"2"))
				return rotate(f+"1", time.Minute+grace+time.Second, f+"3")
			}, account.ErrReuse},
			{"the newest after a reuse", func(f string) error {
				l.ok(rotate(f+"1", time.Minute, f+"2"))
				_ = rotate(f+"1", time.Hour/2, f+"3")
				return rotate(f+"2", time.Hour/2, f+"4")
			}, account.ErrReuse},
			{"run out", func(f string) error { return rotate(f+"1", life, f+"2") }, account.ErrExpired},
			{"after logout", func(f string) error {
				l.ok(rotate(f+"1", time.Minute, f+"2"))
				l.ok(s.RevokeFamily(l.ctx, f+"1"))
				return rotate(f+"2", time.Minute, f+"3")
			}, account.ErrReuse},
			{"unknown", func(f string) error { return rotate("nothing", 0, f+"2") }, account.ErrExpired},
		} {
			family := string(rune('a' + i))
			login(family)
			if err := c.steps(family); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		l.ok(s.RevokeFamily(l.ctx, "nothing"))

		// What ran out long ago is swept; what has not stays.
		old := account.RefreshToken{Hash: "old", Family: "old", UserID: users[0].ID, CreatedAt: start.AddDate(-20, 0, 0),
			ExpiresAt: start.AddDate(-20, 0, 7)}
		l.ok(s.AddRefresh(l.ctx, old))
		l.ok(s.Damage(l.ctx, `INSERT INTO idempotency (workspace, key, fingerprint, resource_id, created_at) VALUES ('local', 'old', 'f', 'r', 1)`))
		l.sweep()
		r, err := s.Verify(l.ctx, store.VerifyOptions{Contains: []string{"old"}})
		l.ok(err)
		for _, p := range r.Problems {
			if p.ID == "refresh_token.hash" || p.ID == "idempotency.key" {
				t.Errorf("%s ran out long ago and is kept", p.ID)
			}
		}
	})
}

func TestLogoutEndsALoginThatIsBeingRefreshed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		users, err := s.Users(l.ctx)
		l.ok(err)
		now := time.Now()
		l.ok(s.AddRefresh(l.ctx, account.RefreshToken{Hash: "h", Family: "f", UserID: users[0].ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				_, _ = s.Rotate(l.ctx, "h", account.RefreshToken{Hash: fmt.Sprint("n", i), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, time.Minute)
			})
		}
		wg.Go(func() { l.ok(s.RevokeFamily(l.ctx, "h")) })
		wg.Wait()
		for i := range 6 {
			_, err := s.Rotate(l.ctx, fmt.Sprint("n", i), account.RefreshToken{Hash: fmt.Sprint("m", i), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, time.Minute)
			if f := fault.Of(err); f == nil || f.Kind != fault.Unauthenticated {
				t.Errorf("link %d is good after the logout: %v", i, err)
			}
		}
	})
}
