package store_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/account"
	"byline/internal/ident"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestTickets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		until := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
		want := account.Ticket{Hash: "h", Path: "/ws/x", Grant: account.Grant{UserID: "u", Login: "f", Until: until}}
		for _, k := range []account.Ticket{want, {Hash: "local", Path: "/p"}} {
			if err := s.AddTicket(t.Context(), k, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddTicket(t.Context(), account.Ticket{Hash: "old"}, -time.Second); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		taken := 0
		for range 10 {
			all.Go(func() {
				got, err := s.TakeTicket(t.Context(), "h")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					taken++
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("(-want +got)\n%s", diff)
					}
				case !errors.Is(err, account.ErrTicket):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if taken != 1 {
			t.Errorf("taken %d times", taken)
		}
		if got, err := s.TakeTicket(t.Context(), "local"); err != nil || !got.Grant.Until.IsZero() {
			t.Errorf("%v %v", got, err)
		}
		for _, hash := range []string{"old", "none"} {
			if _, err := s.TakeTicket(t.Context(), hash); !errors.Is(err, account.ErrTicket) {
				t.Errorf("%s: %v", hash, err)
			}
		}
	})
}

func TestRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, err := s.AddUser(t.Context(), account.User{Email: "a@b.org"}, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range []string{"stays", "goes"} {
			if err := s.AddRefresh(t.Context(), account.RefreshToken{Hash: "h-" + family, Family: family, UserID: u.ID, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.RevokeFamily(t.Context(), "h-goes"); err != nil {
			t.Fatal(err)
		}
		gone := ident.New()
		got, err := s.Revoked(t.Context(), map[string]bool{u.ID: true, gone: true}, map[string]bool{"stays": true, "goes": true, "unknown": true})
		if diff := cmp.Diff(map[string]bool{gone: true, "goes": true}, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if got, err := s.Revoked(t.Context(), map[string]bool{u.ID: true}, nil); err != nil || len(got) != 0 {
			t.Errorf("%v %v", got, err)
		}
		if got, err := s.Revoked(t.Context(), nil, nil); err != nil || len(got) != 0 {
			t.Errorf("%v %v", got, err)
		}
	})
}

// What a replica says reaches the others, whole and in order; what is too long for a message does not.
func TestLiveBus(t *testing.T) {
	if storetest.New(t).LiveBus() != nil {
		t.Error("SQLite has one process, and a bus")
	}
	url := storetest.Schema(t)
	var stores [2]*store.Store
	for i := range stores {
		s, err := store.Open(t.Context(), store.Options{DatabaseURL: url})
		if err != nil {
			t.Fatal(err)
		}
		stores[i] = s
	}
	defer stores[1].Close()
	heard := make(chan string, 1000)
	cancel := stores[1].LiveBus().Receive(func(b []byte) {
		if v := strings.TrimSpace(string(b)); strings.HasPrefix(v, `{"test":"`+url[len(url)-20:]) {
			heard <- v
		}
	})
	defer cancel()
	bus := stores[0].LiveBus()
	say := func(what string) string {
		message := `{"test":"` + url[len(url)-20:] + what + `"}`
		bus.Send([]byte(message))
		return message
	}
	first := ""
	for listening := false; !listening; { // it takes a moment until it listens
		first = say("first")
		select {
		case <-heard:
			listening = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	say(strings.Repeat("x", 8000))
	var want []string
	for i := range 50 {
		want = append(want, say(strings.Repeat("y", 100*(i%10))))
	}
	if err := stores[0].Close(); err != nil { // sends what is left
		t.Fatal(err)
	}
	for _, message := range want {
		got := <-heard
		for got == first {
			got = <-heard
		}
		if got != message {
			t.Fatalf("heard %s, want %s", got, message)
		}
	}
}
