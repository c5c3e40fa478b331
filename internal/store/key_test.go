package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/account"
	"byline/internal/ident"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestAPIKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, err := s.AddUser(t.Context(), account.User{ID: ident.New(), Email: "a@b.org", CreatedAt: time.Now()}, false)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC().Truncate(time.Microsecond)
		first := account.Key{ID: "01A", UserID: u.ID, Name: "one", Prefix: "bl_abc", Hash: "h1", Scope: account.ScopeRead, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		second := account.Key{ID: "01B", UserID: u.ID, Name: "two", Prefix: "bl_def", Hash: "h2", Scope: account.ScopeAdmin, CreatedAt: now}
		for _, k := range []account.Key{first, second} {
			if err := s.AddKey(t.Context(), k, 2); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddKey(t.Context(), account.Key{ID: "01C", UserID: u.ID, Hash: "h3"}, 2); !errors.Is(err, account.ErrKeys) {
			t.Errorf("one too many: %v", err)
		}
		if err := s.AddKey(t.Context(), account.Key{ID: "01C", UserID: "nobody", Hash: "h3"}, 2); !isMissing(err, "account") {
			t.Errorf("nobody's: %v", err)
		}
		last := now.Add(time.Minute)
		for _, uses := range []map[string]account.Uses{{"01A": {Count: 2, Last: last}, "gone": {Count: 1, Last: now}}, {"01A": {Count: 3, Last: now}}, nil} {
			if err := s.CountUses(t.Context(), uses); err != nil {
				t.Fatal(err)
			}
		}
		first.Uses, first.UsedAt = 5, last
		same := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
		list, err := s.AccountKeys(t.Context(), u.ID)
		if diff := cmp.Diff([]account.Key{first, second}, list, same); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		k, owner, err := s.KeyOwner(t.Context(), "h1")
		if diff := cmp.Diff(first, k, same); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if want, err := s.User(t.Context(), u.ID); err != nil || !cmp.Equal(want, owner, same) {
			t.Errorf("owner %+v, want %+v, %v", owner, want, err)
		}
		logins := map[string]bool{account.KeyLogin + "01A": true, account.KeyLogin + "01B": true, account.KeyLogin + "gone": true, "family": true}
		if got, err := s.Revoked(t.Context(), nil, logins); err != nil || !cmp.Equal(got, map[string]bool{account.KeyLogin + "gone": true}) {
			t.Errorf("%v %v", got, err)
		}
		for who, id := range map[string]string{u.ID: "gone", "another": "01A"} {
			if err := s.RemoveKey(t.Context(), who, id); !isMissing(err, "API key") {
				t.Errorf("%s of %s: %v", id, who, err)
			}
		}
		if err := s.RemoveKey(t.Context(), u.ID, "01A"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.KeyOwner(t.Context(), "h1"); !isMissing(err, "API key") {
			t.Errorf("%v", err)
		}
		if got, err := s.Revoked(t.Context(), nil, logins); err != nil || !got[account.KeyLogin+"01A"] || len(got) != 2 {
			t.Errorf("%v %v", got, err)
		}
	})
}
