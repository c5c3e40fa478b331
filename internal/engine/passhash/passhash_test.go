package passhash_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/engine/passhash"
)

const password = "correct horse battery"

// The hasher's process is this test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case passhash.Subcommand:
			os.Exit(passhash.Child(os.Stdin, os.Stdout))
		case "die-once": // leaves in the middle of the first request that it ever gets
			mark := os.Args[2]
			if _, err := os.Stat(mark); err != nil {
				os.WriteFile(mark, nil, 0o600)
				os.Stdin.Read(make([]byte, 1))
				os.Exit(3)
			}
			os.Exit(passhash.Child(os.Stdin, os.Stdout))
		}
	}
	os.Exit(m.Run())
}

func TestHashFitsItsPasswordOnly(t *testing.T) {
	for _, m := range []passhash.Method{passhash.Argon2id, passhash.Bcrypt} {
		t.Run(string(m), func(t *testing.T) {
			h, err := passhash.Hash(m, password)
			if err != nil {
				t.Fatal(err)
			}
			again, err := passhash.Hash(m, password)
			if err != nil || again == h {
				t.Errorf("the same hash twice: no salt? %v", err)
			}
			for p, want := range map[string]bool{password: true, password + "x": false, "": false, strings.Repeat("x", 5000): false} {
				if ok, err := passhash.Check(h, p); ok != want || err != nil {
					t.Errorf("%.30q: %v %v", p, ok, err)
				}
			}
			if ok, err := passhash.Check(passhash.Decoy(m), password); ok || err != nil {
				t.Errorf("decoy %q: %v %v", passhash.Decoy(m), ok, err)
			}
			if passhash.Outdated(m, h) || passhash.Outdated(m, passhash.Decoy(m)) {
				t.Error("a new hash is outdated")
			}
		})
	}
	h, _ := passhash.Hash(passhash.Argon2id, password)
	if !passhash.Outdated(passhash.Bcrypt, h) || !passhash.Outdated(passhash.Argon2id, passhash.Decoy(passhash.Bcrypt)) || !passhash.Outdated(passhash.Argon2id, strings.Replace(h, "t=4", "t=3", 1)) {
		t.Error("a hash of the other method, or of other costs, is not outdated")
	}
}

func TestDamagedHashes(t *testing.T) {
	salt, key := "c2FsdHNhbHRzYWx0c2FsdA", "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	for _, h := range []string{
		"", "plain", "$2a$99$x", "$2a$12$short", "$argon2id$v=19$m=x,t=2,p=1$" + salt + "$" + key, "$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=99999999,t=2,p=1$" + salt + "$" + key, "$argon2id$v=19$m=19456,t=2,p=1$!$!", "$argon2id$v=18$m=19456,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$AA", "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key, "$argon2id$v=19$m=4,t=2,p=1$" + salt + "$" + key,
	} {
		if ok, err := passhash.Check(h, password); ok || !errors.Is(err, passhash.ErrDamaged) {
			t.Errorf("%q: %v %v", h, ok, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$a2V5")
	f.Add(passhash.Decoy(passhash.Argon2id))
	f.Fuzz(func(t *testing.T, h string) {
		if strings.HasPrefix(h, "$2") || strings.Contains(h, "m=") && len(h) > 60 {
			t.Skip("takes as long as it says")
		}
		if ok, _ := passhash.Check(h, password); ok {
			t.Errorf("%q fits", h)
		}
	})
}

func pool(t *testing.T, o passhash.Options) (*passhash.Pool, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := passhash.NewPool(o)
	t.Cleanup(p.Close)
	return p, &log
}

func works(t *testing.T, p *passhash.Pool) {
	t.Helper()
	h, err := p.Hash(t.Context(), passhash.Argon2id, password)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Check(t.Context(), h, password); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := p.Check(t.Context(), h, "another"); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	for _, h := range []string{"", "plain"} {
		if _, err := p.Check(t.Context(), h, password); !errors.Is(err, passhash.ErrDamaged) {
			t.Error(err)
		}
	}
}

// Whatever becomes of the processes, passwords are hashed and checked.
func TestPool(t *testing.T) {
	for name, tt := range map[string]struct {
		command []string
		warns   bool
	}{
		"in processes":            {[]string{os.Args[0], passhash.Subcommand}, false},
		"in this process":         {nil, false},
		"no such program":         {[]string{"/does/not/exist"}, true},
		"a program that leaves":   {[]string{"/bin/true"}, true},
		"a hasher that is killed": {[]string{os.Args[0], "die-once", filepath.Join(t.TempDir(), "mark")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, log := pool(t, passhash.Options{Command: tt.command, Workers: 2})
			works(t, p)
			works(t, p)
			if warned := strings.Count(log.String(), "level=WARN"); warned > 1 || (warned == 1) != tt.warns {
				t.Errorf("warned %d times:\n%s", warned, log)
			}
		})
	}
}

func TestHasherLeavesWhenIdle(t *testing.T) {
	p, log := pool(t, passhash.Options{Command: []string{os.Args[0], passhash.Subcommand}, Idle: time.Microsecond})
	for range 3 {
		works(t, p) // each request finds the one before gone, or takes it in the moment that it wants to leave
	}
	if log.Len() > 0 {
		t.Error(log)
	}
}

func TestPasswordBcryptCannotSee(t *testing.T) {
	p, _ := pool(t, passhash.Options{Command: []string{os.Args[0], passhash.Subcommand}})
	if _, err := p.Hash(t.Context(), passhash.Bcrypt, strings.Repeat("x", passhash.BcryptLimit+1)); err == nil {
		t.Error("hashed")
	}
}

// No more at a time than there are hashers; who waits can go away.
func TestPoolWaits(t *testing.T) {
	p, _ := pool(t, passhash.Options{Workers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { works(t, p) })
	}
	for range 50 {
		if _, err := p.Hash(ctx, passhash.Argon2id, password); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	all.Wait()
}

func TestChildRefusesWhatIsNoRequest(t *testing.T) {
	for in, want := range map[string]int{"": 0, "{\"password\":\"x\",\"encoded\":\"plain\"}\n": 0, "hello\n": 1, "{\"password\":": 1} {
		var out bytes.Buffer
		if got := passhash.Child(strings.NewReader(in), &out); got != want {
			t.Errorf("%q: exit %d, out %q", in, got, out.String())
		}
	}
	if got := passhash.Child(strings.NewReader(fmt.Sprintf("{\"password\":%q}\n", password)), brokenPipe{}); got != 1 {
		t.Errorf("exit %d", got)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }
