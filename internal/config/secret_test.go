package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"byline/internal/config"
)

func TestSecretKeyIsMadeOnceForAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	keys := make([][]byte, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := config.SecretKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != 64 || !bytes.Equal(k, keys[0]) {
			t.Errorf("keys differ or are short: %d bytes", len(k))
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, error %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func TestSecretKeyIsNeverReplaced(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "cut": "abc\n"} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{config.SecretFileName: content})
			if _, err := config.SecretKey(dir); err == nil || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("error %v", err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, config.SecretFileName)); err != nil || string(got) != content {
				t.Errorf("it is now %q, %v", got, err)
			}
		})
	}
	t.Run("not readable", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, config.SecretFileName), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := config.SecretKey(dir); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no place", func(t *testing.T) {
		dir := write(t, map[string]string{"file": ""})
		if _, err := config.SecretKey(filepath.Join(dir, "file", "data")); err == nil || !strings.Contains(err.Error(), "SECRET_KEY") {
			t.Errorf("error %v", err)
		}
	})
}

func TestSigningKey(t *testing.T) {
	given := strings.Repeat("k", 40)
	cfg, _ := load(t, config.Sources{Dir: t.TempDir(), Environ: []string{"SECRET_KEY=" + given}})
	if key, err := cfg.SigningKey(); err != nil || string(key) != given {
		t.Errorf("%q, %v", key, err)
	}
	dir := t.TempDir()
	cfg, _ = load(t, config.Sources{Dir: dir, Flags: map[string]string{"data": dir}})
	first, err := cfg.SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cfg.SigningKey(); err != nil || !bytes.Equal(first, again) {
		t.Errorf("%q then %q, %v", first, again, err)
	}
}
