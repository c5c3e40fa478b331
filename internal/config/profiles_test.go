package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/config"
)

func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, config.ProfilesFileName)
	if list, err := config.LoadProfiles(dir); err != nil || list != nil {
		t.Errorf("no file: %v %v", list, err)
	}
	load := func(text string) ([]config.Profile, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return config.LoadProfiles(dir)
	}
	got, err := load("[[profile]]\nname = 'press'\npersona = 'You write for the press.'\nllm_provider = 'openai'\nllm_model = 'm'\nwords = 300\nweb = true\n[[profile]]\nname = 'b'\ntitle = 'B'\npersona = 'x'\n")
	want := []config.Profile{{Name: "press", Title: "press", Persona: "You write for the press.", Provider: "openai", Model: "m", Words: 300, Web: true}, {Name: "b", Title: "B", Persona: "x"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for text, want := range map[string]string{
		"[[profile]":                           "not TOML",
		"[[profile]]\nx=1":                     "profile.x is not known",
		"[[profile]]":                          "a profile's name",
		"[[profile]]\nname='A b'\npersona='x'": "a profile's name",
		"[[profile]]\nname='a'":                "profile a needs a persona",
		"[[profile]]\nname='a'\npersona='x'\n[[profile]]\nname='a'\npersona='x'\n": "two profiles a",
		"[[profile]]\nname='a'\npersona='x'\nwords=-1":                             "words of profile a",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadProfiles(dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
}
