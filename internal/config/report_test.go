package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md and .env.example anew")

// TestGenerated holds the documents that are made from the table.
func TestGenerated(t *testing.T) {
	for name, want := range map[string]string{"docs/configuration.md": config.Markdown(), ".env.example": config.Example()} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("..", "..", filepath.FromSlash(name))
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v: run `make generate`", err)
			}
			if diff := cmp.Diff(want, strings.ReplaceAll(string(got), "\r\n", "\n")); diff != "" {
				t.Errorf("run `make generate` (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheExampleLoadsWithAndWithoutItsMarks(t *testing.T) {
	_, report := load(t, config.Sources{Dir: write(t, map[string]string{".env": config.Example()})})
	if len(report.Notices) > 0 {
		t.Errorf("commented out: %v", report.Notices)
	}
	var open strings.Builder
	for _, line := range strings.Split(config.Example(), "\n") {
		if rest, ok := strings.CutPrefix(line, "# "); ok && strings.HasPrefix(rest[strings.IndexAny(rest, "= "):], "=") {
			line = rest
		}
		open.WriteString(line + "\n")
	}
	plain, _ := load(t, config.Sources{Dir: t.TempDir()})
	opened, report := load(t, config.Sources{Dir: write(t, map[string]string{".env": open.String()})})
	if diff := cmp.Diff(plain.Storage, opened.Storage) + cmp.Diff(plain.Documents, opened.Documents) + cmp.Diff(plain.Server, opened.Server); diff != "" {
		t.Error(diff)
	}
	if len(report.Notices) > 0 || !strings.Contains(origin(report, "BYLINE_DATA"), ".env:") {
		t.Errorf("%s, notices %v", origin(report, "BYLINE_DATA"), report.Notices)
	}
}

func TestTheTableIsWhole(t *testing.T) {
	flags := map[string]bool{}
	envs := map[string]bool{}
	rows := config.Settings()
	for _, s := range rows {
		if s.Env == "" || s.Doc == "" || s.Topic == "" || !strings.HasSuffix(s.Doc, ".") || strings.ContainsAny(s.Doc, "|\n") || envs[s.Env] {
			t.Errorf("%+v", s)
		}
		envs[s.Env] = true
		if s.Flag != "" && flags[s.Flag] {
			t.Errorf("two flags --%s", s.Flag)
		}
		flags[s.Flag] = true
		if s.Retired == "" && s.Allowed == "" {
			t.Errorf("%s does not say what is allowed", s.Env)
		}
		if s.Secret && s.Flag != "" {
			t.Errorf("%s is a secret and has a flag, which every user of the machine can read", s.Env)
		}
		if s.Default != "" {
			if _, err := s.Parse(s.Default); err != nil {
				t.Errorf("%s: default %q: %v", s.Env, s.Default, err)
			}
		}
	}
	if len(rows) >= 60 {
		t.Errorf("%d settings; fewer than 60 are promised", len(rows))
	}
}

func TestValues(t *testing.T) {
	table := map[string]config.Setting{}
	for _, s := range config.Settings() {
		table[s.Env] = s
	}
	for _, tc := range []struct {
		env       string
		good, bad []string
	}{
		{"DEBUG", []string{"true", "False", "1", "0", "yes", "no", "on", "off"}, []string{"maybe", "2", " true"}},
		{"APP_NAME", []string{"Blog", "블로그"}, []string{"a\nb", strings.Repeat("x", 101)}},
		{"BYLINE_LISTEN", []string{":8000", "0.0.0.0:0", "[::1]:80", "localhost:80"}, []string{"8000", "host", "host:http", "host:65536", "http://h:80", "a b:1"}},
		{"PORT", []string{"1", "65535"}, []string{"0", "-1", "65536", "http"}},
		{"CORS_ORIGINS", []string{"http://a", "https://a:1/, http://b,", `["http://a"]`, "[]"}, []string{"*", "a", "http://a/b", "http://*.a", "ftp://a", "http://u@a", "[1]", "http://a?x=1", "http://"}},
		{"TRUSTED_PROXIES", []string{"10.0.0.0/8,::1", "127.0.0.1"}, []string{"10.0.0.0/33", "proxy"}},
		{"BYLINE_DRAIN_TIMEOUT", []string{"0s", "1m30s", "10m"}, []string{"10", "-1s", "11m", "soon"}},
		{"ACCESS_TOKEN_EXPIRE_MINUTES", []string{"1", "1440"}, []string{"0", "15m", "1441", "1.5"}},
		{"MAX_UPLOAD_SIZE", []string{"100MB", "104857600", "1.5 GiB", "1g", "1000B"}, []string{"0", "999", "2TB", "big", "1XB", "-1", "9999999999999TB"}},
		{"ALLOWED_EXTENSIONS", []string{"pdf", ".PDF,.md", `["pdf", ".txt"]`}, []string{"*.pdf", "a/b", "..", `{"a":1}`}},
		{"BYLINE_FETCH_ALLOW", []string{"wiki.example:8080", "A:1,[::1]:80", `["10.0.0.1:9200"]`}, []string{"wiki.example", "wiki:0", "wiki:65536", ":80", "http://wiki:80", "*:80", "a@b:80"}},
		{"BYLINE_EMBEDDER", []string{"auto", "table", "./model"}, []string{"bert", "AUTO"}},
		{"ELASTICSEARCH_URL", []string{"http://h:9200", "https://u:p@one:9200,https://two:9200", "http://one, http://two/path"}, []string{"http://h:9200,", "one:9200,two:9200", "http://h:9200;http://i:9200", "ftp://h"}},
		{"DATABASE_URL", []string{"postgres://h/d", "postgresql://u:p@h:5432/d?sslmode=disable", "postgres://h:x@h/d"}, []string{"sqlite:///x", "postgres:///d", "postgresql+asyncpg://h/d", "host=h", "postgres://u:1#2@h/d", "postgres://u:1/2@h/d", "postgres://u:1?2@h/d", "postgres://u:1/2@h@i/d"}},
		{"SECRET_KEY", []string{strings.Repeat("k", 32)}, []string{strings.Repeat("k", 31), strings.Repeat("k", 32) + "\t"}},
	} {
		for _, text := range tc.good {
			if _, err := table[tc.env].Parse(text); err != nil {
				t.Errorf("%s=%q: %v", tc.env, text, err)
			}
		}
		for _, text := range tc.bad {
			if v, err := table[tc.env].Parse(text); err == nil {
				t.Errorf("%s=%q is accepted as %v", tc.env, text, v)
			}
		}
	}
}

func TestPrintAndCheck(t *testing.T) {
	dir := write(t, map[string]string{".env": "DATABASE_URL=postgres://u:hunter2@db/x?sslmode=disable\nTAVILY_API_KEY=tvly-hunter2\nAPP_NAME=\"My\tblog\"\nREDIS_URL=redis://cache:6379/1"})
	if _, _, err := config.Load(config.Sources{Dir: dir}); err == nil {
		t.Fatal("a tab in a name is accepted")
	}
	_, report := load(t, config.Sources{Dir: dir, Flags: map[string]string{"data": "/x"}, Environ: []string{"APP_NAME=B"}})
	masked, whole, check := &strings.Builder{}, &strings.Builder{}, &strings.Builder{}
	if err := errors.Join(report.Print(masked, true), report.Print(whole, false), report.Check(check)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"postgres://********@db/x?********  .env:1\n", " ********  .env:2\n", "/x  --data\n", "BYLINE_LISTEN  127.0.0.1:8000  default\n", "redis://cache:6379/1  .env:4\n", "SECRET_KEY  -  default\n",
	} {
		if got := squeeze(masked.String()); !strings.Contains(got, squeeze(want)) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Count(whole.String(), "hunter2") != 2 || strings.Contains(masked.String(), "hunter2") {
		t.Errorf("masked:\n%s\nwhole:\n%s", masked, whole)
	}
	if got := check.String(); !strings.Contains(got, "notice  .env:4: REDIS_URL is known") || !strings.Contains(got, "The configuration is valid. Settings: ") || !strings.Contains(got, "set: 5") {
		t.Errorf("check:\n%s", got)
	}
	_, report, _ = config.Load(config.Sources{Dir: dir, Environ: []string{"PORT=x"}})
	check.Reset()
	if err := report.Check(check); err != nil || !strings.Contains(check.String(), "error   environment: PORT") || !strings.Contains(check.String(), "refused, errors: 2") {
		t.Errorf("%v, check:\n%s", err, check)
	}
}

func squeeze(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

func TestSecretsAreNeverShown(t *testing.T) {
	var secrets []config.Setting
	for _, s := range config.Settings() {
		if s.Secret {
			secrets = append(secrets, s)
		}
	}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(secrets).Draw(t, "setting")
		core := "S3cr3t" + rapid.StringMatching(`[a-zA-Z0-9]{6,40}`).Draw(t, "secret")
		value := rapid.SampledFrom([]string{
			core, core + "\n" + core, "sk-" + core, "postgres://u:" + core + "@h/d", "http://" + core + "@h", "http://h/?key=" + core, "http://h/%zz" + core,
			"redis://:" + core + "#1@h", "postgres://u:1#" + core + "@h/d", "http://u:1/" + core + "@h", "mysql://u:" + core + "@h", "s3://k:" + core + "@b/p@" + core, core + "...",
		}).Draw(t, "form")
		src := config.Sources{Dir: dir}
		text, name := "", ""
		switch rapid.IntRange(0, 4).Draw(t, "source") {
		case 0:
			src.Environ = []string{s.Env + "=" + value}
		case 1:
			name, text = ".env", s.Env+"="+config.Quote(value)
		case 2:
			name, text = ".env", s.Env+"=\""+value
		case 3:
			name, text = "byline.toml", s.Key+" = "+value
		case 4:
			name, text = "byline.toml", s.Key+" = '''"+value+"'''"
		}
		if name != "" {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(path) //nolint:errcheck // the directory goes away
		}
		_, report, err := config.Load(src)
		var out strings.Builder
		if err := errors.Join(report.Print(&out, true), report.Check(&out)); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			out.WriteString(err.Error())
		}
		if strings.Contains(out.String(), core) {
			t.Fatalf("%s in:\n%s", core, out.String())
		}
	})
}
