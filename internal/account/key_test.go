package account_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// owner is a service with an account.
func owner(t *testing.T) (*account.Service, *clock, account.User) {
	t.Helper()
	a, c := service(t, storetest.New(t), nil)
	u, err := a.Add(t.Context(), "ann@example.org", password, "")
	if err != nil {
		t.Fatal(err)
	}
	return a, c, u
}

func TestAPIKeys(t *testing.T) {
	a, c, u := owner(t)
	k, key, err := a.AddKey(t.Context(), u, account.Grant{}, account.Adding{Name: "  feed  ", Days: 2})
	if err != nil || k.Name != "feed" || k.Scope != account.ScopeWrite || !strings.HasPrefix(key, "bl_") || len(key) < 40 || !strings.HasPrefix(key, k.Prefix) || len(k.Prefix) > 10 || strings.Contains(k.Hash, key) {
		t.Fatalf("%+v %q %v", k, key, err)
	}
	who, g, err := a.Admit(t.Context(), key)
	if err != nil || who.ID != u.ID || who.Workspace != u.Workspace || g.Scope != account.ScopeWrite || !g.Until.Equal(k.ExpiresAt.Truncate(time.Microsecond)) {
		t.Fatalf("%+v %+v %v", who, g, err)
	}
	if code(g.Needs(account.ScopeRead))+code(g.Needs(account.ScopeWrite)) != "" || code(g.Needs(account.ScopeAdmin)) != "insufficient_scope" {
		t.Errorf("what it may: %v %v %v", g.Needs(account.ScopeRead), g.Needs(account.ScopeWrite), g.Needs(account.ScopeAdmin))
	}
	for range 2 {
		if _, err := a.Authenticate(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	list, err := a.Keys(t.Context(), u.ID)
	if err != nil || len(list) != 1 || list[0].Uses != 3 || !list[0].UsedAt.Equal(c.now().Truncate(time.Microsecond)) || list[0].ID != k.ID {
		t.Errorf("%+v %v", list, err)
	}
	for _, bad := range []string{key + "x", "bl_", key[:len(key)-1]} {
		if _, _, err := a.Admit(t.Context(), bad); !errors.Is(err, account.ErrKey) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	ended := func() error {
		t.Helper()
		list, err := a.Ended(t.Context(), []account.Grant{g})
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	if err := ended(); err != nil {
		t.Errorf("a stream of a key that stands: %v", err)
	}
	c.add(49 * time.Hour)
	if _, _, err := a.Admit(t.Context(), key); !errors.Is(err, account.ErrKey) || !errors.Is(ended(), account.ErrOver) {
		t.Errorf("run out: %v, streams %v", err, ended())
	}
	c.add(-49 * time.Hour)
	if code(a.RemoveKey(t.Context(), ident.New(), k.ID)) != "not_found" || code(a.RemoveKey(t.Context(), u.ID, ident.New())) != "not_found" {
		t.Error("another's key, or none, was removed")
	}
	if err := a.RemoveKey(t.Context(), u.ID, k.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Admit(t.Context(), key); !errors.Is(err, account.ErrKey) || !errors.Is(ended(), account.ErrLogout) {
		t.Errorf("removed: %v, streams %v", err, ended())
	}
}

// A ticket that was made with a key lets in for as long as the key stands.
func TestTicketOfAnAPIKey(t *testing.T) {
	a, _, u := owner(t)
	k, key, err := a.AddKey(t.Context(), u, account.Grant{}, account.Adding{Name: "page", Scopes: []account.Scope{account.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	_, g, err := a.Admit(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	ticket, _, err := a.IssueTicket(t.Context(), g, "/ws/x")
	if err != nil {
		t.Fatal(err)
	}
	_, g, pass, err := a.UseTicket(t.Context(), ticket, "/ws/x")
	if g.Needs(account.ScopeWrite) == nil {
		t.Error("a ticket may do more than follow")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.UsePass(t.Context(), pass, "/ws/x", ""); err != nil {
		t.Error(err)
	}
	if err := a.RemoveKey(t.Context(), u.ID, k.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.UsePass(t.Context(), pass, "/ws/x", ""); !errors.Is(err, account.ErrLogout) {
		t.Errorf("behind its end: %v", err)
	}
}

func TestAPIKeysThatAreRefused(t *testing.T) {
	a, _, u := owner(t)
	for name, tc := range map[string]struct {
		by   account.Scope
		a    account.Adding
		want string
	}{
		"no name":                 {"", account.Adding{Name: " "}, "bad_name"},
		"a name of lines":         {"", account.Adding{Name: "a\nb"}, "bad_name"},
		"a long name":             {"", account.Adding{Name: strings.Repeat("x", 201)}, "bad_name"},
		"no such scope":           {"", account.Adding{Name: "x", Scopes: []account.Scope{"read", "all"}}, "bad_scope"},
		"before now":              {"", account.Adding{Name: "x", Days: -1}, "bad_expiry"},
		"too long":                {"", account.Adding{Name: "x", Days: 100_000}, "bad_expiry"},
		"more than its maker may": {account.ScopeWrite, account.Adding{Name: "x", Scopes: []account.Scope{account.ScopeRead, account.ScopeAdmin}}, "insufficient_scope"},
	} {
		if _, key, err := a.AddKey(t.Context(), u, account.Grant{Scope: tc.by}, tc.a); code(err) != tc.want || key != "" {
			t.Errorf("%s: %q %v", name, key, err)
		}
	}
	maker, day := account.Grant{Login: account.KeyLogin + "x", Until: time.Now().Add(36 * time.Hour)}, account.Adding{Name: "x", Days: 1}
	if _, _, err := a.AddKey(t.Context(), u, maker, account.Adding{Name: "x"}); code(err) != "outlives_its_maker" {
		t.Errorf("a key without an end, made by one with an end: %v", err)
	}
	k, _, err := a.AddKey(t.Context(), u, maker, day)
	if err == nil {
		err = a.RemoveKey(t.Context(), u.ID, k.ID)
	}
	if err != nil {
		t.Errorf("a key that ends before its maker: %v", err)
	}
	if _, _, err := a.AddKey(t.Context(), account.User{}, account.Grant{}, account.Adding{Name: "x"}); code(err) != "no_account" {
		t.Errorf("nobody's: %v", err)
	}
	for range 100 {
		if _, _, err := a.AddKey(t.Context(), u, account.Grant{Scope: account.ScopeAdmin}, account.Adding{Name: "x", Scopes: []account.Scope{account.ScopeAdmin, account.ScopeRead}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := a.AddKey(t.Context(), u, account.Grant{}, account.Adding{Name: "x"}); !errors.Is(err, account.ErrKeys) {
		t.Errorf("one too many: %v", err)
	}
	list, err := a.Keys(t.Context(), u.ID)
	if err != nil || len(list) != 100 || slices.ContainsFunc(list, func(k account.Key) bool { return k.Scope != account.ScopeAdmin || k.Uses != 0 || !k.UsedAt.IsZero() }) {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

// broken is a store that counts no uses for some time.
type broken struct {
	*store.Store
	err error
}

func (b *broken) CountUses(ctx context.Context, uses map[string]account.Uses) error {
	if b.err != nil {
		return b.err
	}
	return b.Store.CountUses(ctx, uses)
}

// What could not be counted is counted the next time.
func TestUsesOfAPIKeysAreKept(t *testing.T) {
	s := &broken{storetest.New(t), nil}
	a, c := service(t, s, nil)
	u, err := a.Add(t.Context(), "ann@example.org", password, "")
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := a.AddKey(t.Context(), u, account.Grant{}, account.Adding{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	use := func() {
		t.Helper()
		if _, err := a.Authenticate(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	use()
	c.add(time.Second)
	use()
	last := c.now()
	s.err = fault.New(fault.Unavailable, "busy", "Busy.")
	if err := a.KeepUses(t.Context()); !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
	if _, err := a.Keys(t.Context(), u.ID); !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
	s.err = nil
	list, err := a.Keys(t.Context(), u.ID)
	if err != nil || list[0].Uses != 2 || !list[0].UsedAt.Equal(last.Truncate(time.Microsecond)) {
		t.Errorf("%+v %v", list, err)
	}
	if err := a.KeepUses(t.Context()); err != nil {
		t.Error(err)
	}
}
