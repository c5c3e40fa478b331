package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"byline/internal/config"
	"byline/internal/fault"
)

// write makes a directory with these files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, src config.Sources) (*config.Config, config.Report) {
	t.Helper()
	cfg, report, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, report
}

func lines(notices []config.Notice) []string {
	var out []string
	for _, n := range notices {
		out = append(out, n.String())
	}
	return out
}

func origin(r config.Report, env string) string {
	for _, v := range r.Values {
		if v.Env == env {
			return v.Text + " from " + v.Origin
		}
	}
	return "no " + env
}

// wireEnv is the .env that the design promises to start on, as it is printed there.
const wireEnv = `
    APP_NAME="Blog Creator API"        DEBUG=false
    APP_VERSION="1.0.0"                SECRET_KEY="your-secret-key-here"   ALGORITHM="HS256"   ACCESS_TOKEN_EXPIRE_MINUTES=15
    ELASTICSEARCH_URL="http://localhost:9200"   REDIS_URL="redis://localhost:6379"   CHROMADB_PATH="./data/chromadb"
    OPENAI_API_KEY="sk-..."   TAVILY_API_KEY="tvly-..."   CORS_ORIGINS="http://localhost:3000,http://localhost:8000"
`

func TestDefaults(t *testing.T) {
	cfg, report := load(t, config.Sources{Dir: t.TempDir()})
	want := &config.Config{
		App:      config.App{Name: "Byline", LogFormat: "text"},
		Server:   config.Server{Listen: "127.0.0.1:8000", Limits: true, DrainTimeout: 10 * time.Second},
		Accounts: config.Accounts{Algorithm: "HS256", AccessTTL: 15 * time.Minute, RefreshTTL: 7 * 24 * time.Hour, PasswordHash: "argon2id", Registration: "invite"},
		Storage:  config.Storage{Data: "./byline-data", Workers: 2 * runtime.GOMAXPROCS(0)},
		Documents: config.Documents{
			MaxUploadSize: 200e6, ExtractMemory: 512 << 20, ExtractTimeout: 2 * time.Minute, MaxPages: 5000, ExtractWorkers: min(runtime.GOMAXPROCS(0), 4),
		},
		Search:  config.Search{Memory: 128 << 20, Embedder: "auto"},
		Models:  config.Models{Provider: "auto", FirstTokenTimeout: time.Minute, IdleTimeout: 30 * time.Second, Timeout: 15 * time.Minute},
		Writing: config.Writing{Writers: 64, Unsupported: "cut"},
	}
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(config.Search{}, "_")); diff != "" {
		t.Errorf("the defaults differ (-want +got):\n%s", diff)
	}
	if len(report.Notices) > 0 {
		t.Errorf("notices on nothing: %v", report.Notices)
	}
}

func TestTheEnvOfTheDesignLoadsAsItIs(t *testing.T) {
	onePerLine := ""
	for _, line := range strings.Split(strings.TrimSpace(wireEnv), "\n") {
		for _, part := range strings.Split(line, "   ") {
			if part = strings.TrimSpace(part); part != "" {
				onePerLine += part + "\r\n"
			}
		}
	}
	var loaded []*config.Config
	for name, text := range map[string]string{"several on a line": wireEnv, "one on a line": onePerLine} {
		t.Run(name, func(t *testing.T) {
			cfg, report := load(t, config.Sources{Dir: write(t, map[string]string{".env": text})})
			loaded = append(loaded, cfg)
			if cfg.App.Name != "Blog Creator API" || cfg.App.Version != "1.0.0" || cfg.App.Debug ||
				cfg.Accounts.SecretKey != "" || cfg.Accounts.AccessTTL != 15*time.Minute || cfg.Models.OpenAIKey != "" || cfg.Web.TavilyKey != "" {
				t.Errorf("%+v", cfg)
			}
			if diff := cmp.Diff([]string{"http://localhost:3000", "http://localhost:8000"}, cfg.Server.CORSOrigins); diff != "" {
				t.Error(diff)
			}
			told := strings.Join(lines(report.Notices), "\n")
			for _, want := range []string{
				"SECRET_KEY is a placeholder", "OPENAI_API_KEY is a placeholder", "TAVILY_API_KEY is a placeholder",
				"CHROMADB_URL", "REDIS_URL is known",
			} {
				if !strings.Contains(told, want) {
					t.Errorf("no notice %q in:\n%s", want, told)
				}
			}
			if len(report.Notices) != 5 {
				t.Errorf("%d notices:\n%s", len(report.Notices), told)
			}
		})
	}
	if diff := cmp.Diff(loaded[0], loaded[1], cmpopts.IgnoreFields(config.Search{}, "_")); diff != "" {
		t.Error(diff)
	}
}

func TestPrecedence(t *testing.T) {
	flag := map[string]string{"listen": "127.0.0.1:1"}
	env := []string{"BYLINE_LISTEN=127.0.0.1:2"}
	dot := map[string]string{".env": "BYLINE_LISTEN=127.0.0.1:3"}
	both := map[string]string{".env": "BYLINE_LISTEN=127.0.0.1:3", "byline.toml": `byline_listen = "127.0.0.1:4"`}
	for name, tc := range map[string]struct {
		flags   map[string]string
		environ []string
		files   map[string]string
		file    string
		want    string
	}{
		"a flag is first":           {flag, env, both, "", "127.0.0.1:1 from --listen"},
		"then the environment":      {nil, env, both, "", "127.0.0.1:2 from environment"},
		"then .env":                 {nil, nil, both, "", "127.0.0.1:3 from .env:1"},
		"then the file":             {nil, nil, map[string]string{"byline.toml": "# first\n\nbyline_listen = '127.0.0.1:4'\n"}, "", "127.0.0.1:4 from byline.toml:3"},
		"then the default":          {nil, nil, nil, "", "127.0.0.1:8000 from default"},
		"a named file":              {nil, nil, map[string]string{"my.toml": `byline_listen = "[::1]:5"`}, "my.toml", "[::1]:5 from my.toml:1"},
		"empty means the default":   {nil, []string{"BYLINE_LISTEN="}, dot, "", "127.0.0.1:8000 from environment"},
		"PORT":                      {nil, []string{"PORT=8080"}, nil, "", "0.0.0.0:8080 from environment (PORT)"},
		"PORT over a lower layer":   {nil, []string{"PORT=8080"}, dot, "", "0.0.0.0:8080 from environment (PORT)"},
		"PORT in the file":          {nil, nil, map[string]string{"byline.toml": "port = 8080"}, "", "0.0.0.0:8080 from byline.toml:1 (PORT)"},
		"PORT beside BYLINE_LISTEN": {nil, []string{"PORT=8080", "BYLINE_LISTEN=:9"}, nil, "", ":9 from environment"},
		"PORT beside an empty one":  {nil, []string{"PORT=8080", "BYLINE_LISTEN="}, nil, "", "0.0.0.0:8080 from environment (PORT)"},
		"PORT below a flag":         {flag, []string{"PORT=8080"}, nil, "", "127.0.0.1:1 from --listen"},
		"the last of two in .env":   {nil, nil, map[string]string{".env": "BYLINE_LISTEN=:1\nBYLINE_LISTEN=:2"}, "", ":2 from .env:2"},
		"variables of others":       {nil, []string{"HOME=/root", "NONSENSE"}, nil, "", "127.0.0.1:8000 from default"},
	} {
		t.Run(name, func(t *testing.T) {
			src := config.Sources{Flags: tc.flags, Environ: tc.environ, Dir: write(t, tc.files)}
			if tc.file != "" {
				src.File = filepath.Join(src.Dir, tc.file)
			}
			cfg, report := load(t, src)
			got := strings.Replace(origin(report, "BYLINE_LISTEN"), src.Dir+string(filepath.Separator), "", 1)
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if listen, _, _ := strings.Cut(tc.want, " "); cfg.Server.Listen != listen {
				t.Errorf("Listen = %s, want %s", cfg.Server.Listen, listen)
			}
		})
	}
}

func TestEveryBadValueIsToldAtOnceWithItsPlace(t *testing.T) {
	dir := write(t, map[string]string{
		".env":        "# mine\nDEBUG=maybe\nSECRET_KEY=too-short\nACCESS_TOKEN_EXPIRE_MINUTES=0\nno assignment\nAPP_NAME=\"open\nBYLIN_DATA=/x\n",
		"byline.toml": "algorithm = \"none\"\nmax_upload_size = -1\napp_nam = 'x'\ncors_origins = [\"*\"]\nallowed_extensions = [1]\n[server]\nlisten = 1\n",
	})
	cfg, report, err := config.Load(config.Sources{
		Flags:   map[string]string{"listen": "8000", "lissten": "x"},
		Environ: []string{"BYLINE_REGISTRATION=all", "BYLINE_REGISTRTION=open", "DEBIG=1", "DATABASE_URL=mysql://root:hunter2@db/x", "S3_URL_FILE=missing.txt"},
		Dir:     dir,
	})
	want := []string{
		"--lissten: there is no such flag; did you mean --listen?",
		"--listen: BYLINE_LISTEN: \"8000\" is not allowed; use an address with a port such as 127.0.0.1:8000",
		"environment: BYLINE_REGISTRATION: \"all\" is not allowed; use invite, open or closed",
		"environment: BYLINE_REGISTRTION is not a setting; did you mean BYLINE_REGISTRATION?",
		"environment: DATABASE_URL is not allowed; use a URL that begins with postgres:// or postgresql:// and names a host",
		"environment: S3_URL_FILE: missing.txt cannot be read: no such file or directory",
		".env:2: DEBUG: \"maybe\" is not allowed; use true or false",
		".env:3: SECRET_KEY is shorter than 32 bytes; make one with `openssl rand -base64 48` or `byline config secret`",
		".env:4: ACCESS_TOKEN_EXPIRE_MINUTES: \"0\" is not allowed; use a whole number of minutes from 1 to 1440",
		".env:5: this is not NAME=value",
		".env:6: APP_NAME has a double quote that is not closed",
		".env:7: BYLIN_DATA is not a setting; did you mean BYLINE_DATA?",
		"byline.toml:1: algorithm: \"none\" is not allowed; use HS256, HS384 or HS512",
		"byline.toml:2: max_upload_size: \"-1\" is not allowed; use a size such as 100MB or 104857600, from 1KB to 1TB",
		"byline.toml:3: app_nam is not a setting; did you mean app_name?",
		"byline.toml:4: cors_origins: \"[\\\"*\\\"]\" is not allowed; use origins such as http://localhost:3000, without a path or *, separated by commas or as a JSON list",
		"byline.toml:5: allowed_extensions is a list of something else than texts",
		"byline.toml:6: server is not a setting; docs/configuration.md lists them all",
	}
	if diff := cmp.Diff(want, lines(report.Problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Invalid || len(e.Fields) != len(want) || !strings.Contains(e.Say, "18 mistakes") || cfg != nil {
		t.Errorf("error: %v, config %v", err, cfg)
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "too-short") {
		t.Errorf("a secret is shown: %v", err)
	}
}

func TestSuggestions(t *testing.T) {
	for name, want := range map[string]string{
		"BYLINE_DEBUG":         "did you mean DEBUG?",
		"LISTEN":               "did you mean BYLINE_LISTEN?",
		"byline_data":          "did you mean BYLINE_DATA?",
		"OPENAI_API_KYE":       "did you mean OPENAI_API_KEY?",
		"OPENAI_KEY_FILE":      "did you mean OPENAI_API_KEY_FILE?",
		"SECRET_KEYFILE":       "did you mean SECRET_KEY_FILE?",
		"BYLINE_DATA_FILE":     "docs/configuration.md",
		"NEXT_PUBLIC_API_BASE": "docs/configuration.md",
	} {
		t.Run(name, func(t *testing.T) {
			_, report, _ := config.Load(config.Sources{Dir: write(t, map[string]string{".env": name + "=x"})})
			if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Text, want) {
				t.Errorf("%v, want %q", report.Problems, want)
			}
		})
	}
	_, report, _ := config.Load(config.Sources{Dir: write(t, map[string]string{".env": "BYLINE_OCR_COMMAND=tesseract lang=eng"})})
	if got := lines(report.Problems); len(got) != 1 || !strings.Contains(got[0], "put that into quotes") {
		t.Errorf("a word that looks like a name: %v", got)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	for name, tc := range map[string]struct {
		environ []string
		env     string
		content string
		want    string // the key, or a part of the error
	}{
		"from a file":                  {[]string{"SECRET_KEY_FILE=key"}, "", key + "\r\n", key},
		"named in .env":                {nil, "SECRET_KEY_FILE='key'", key, key},
		"both":                         {[]string{"SECRET_KEY_FILE=key", "SECRET_KEY=" + key}, "", key, "both SECRET_KEY and SECRET_KEY_FILE are set"},
		"a higher layer wins":          {[]string{"SECRET_KEY=" + strings.ToUpper(key)}, "SECRET_KEY_FILE=gone", key, strings.ToUpper(key)},
		"beside an empty one":          {[]string{"SECRET_KEY_FILE=key", "SECRET_KEY="}, "", key, key},
		"beside a placeholder":         {nil, "SECRET_KEY=your-secret\nSECRET_KEY_FILE=key", key, key},
		"not there":                    {[]string{"SECRET_KEY_FILE=gone"}, "", key, "gone cannot be read"},
		"empty":                        {[]string{"SECRET_KEY_FILE=key"}, "", "\n", "key is empty"},
		"too large":                    {[]string{"SECRET_KEY_FILE=key"}, "", strings.Repeat("x", 64<<10+1), "more than 64 KiB"},
		"too short":                    {[]string{"SECRET_KEY_FILE=key"}, "", "short", "shorter than 32 bytes"},
		"two lines":                    {[]string{"SECRET_KEY_FILE=key"}, "", key + "\n" + key, "line break"},
		"a placeholder counts as none": {[]string{"SECRET_KEY_FILE=key"}, "SECRET_KEY=" + key, "your-secret-key", key},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := config.Load(config.Sources{Environ: tc.environ, Dir: write(t, map[string]string{".env": tc.env, "key": tc.content})})
			switch {
			case err != nil && !strings.Contains(err.Error(), tc.want):
				t.Errorf("error %v, want %q", err, tc.want)
			case err == nil && cfg.Accounts.SecretKey != tc.want:
				t.Errorf("key %q, want %q", cfg.Accounts.SecretKey, tc.want)
			}
		})
	}
	cfg, _ := load(t, config.Sources{Dir: write(t, map[string]string{"byline.toml": "tavily_api_key_file = 'k'", "k": "tvly-1"})})
	if cfg.Web.TavilyKey != "tvly-1" {
		t.Errorf("from byline.toml: %q", cfg.Web.TavilyKey)
	}
}

func TestNotices(t *testing.T) {
	for name, tc := range map[string]struct {
		env, want string
	}{
		"a setting that is not built": {"BYLINE_OCR_COMMAND=tesseract", "not built yet"},
		"what counts is silent":       {"DEFAULT_LLM_PROVIDER=offline", ""},
		"models":                      {"DEFAULT_LLM_PROVIDER=openai\nBYLINE_EMBEDDER=ollama\nOPENAI_API_KEY=sk-1234567890\nDEFAULT_LLM_MODEL=x\nBYLINE_LLM_IDLE_TIMEOUT=20s", ""},
		"an empty one":                {"ELASTICSEARCH_URL=", ""},
		"twice":                       {"DEBUG=true\nDEBUG=false", "stands again in line 2"},
		"a name of Chroma's":          {"CHROMADB_PATH=./data", "CHROMADB_URL"},
		"PORT without effect":         {"PORT=1\nBYLINE_LISTEN=:2", "PORT has no effect"},
	} {
		t.Run(name, func(t *testing.T) {
			_, report := load(t, config.Sources{Dir: write(t, map[string]string{".env": tc.env})})
			got := strings.Join(lines(report.Notices), "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("notices %q, want %q", got, tc.want)
			}
		})
	}
	cfg, report := load(t, config.Sources{Environ: []string{"DEBUG=true"}, Dir: write(t, map[string]string{".env": "DEBUG=maybe"})})
	if got := lines(report.Notices); !cfg.App.Debug || len(got) != 1 || !strings.Contains(got[0], "It has no effect: environment sets it.") {
		t.Errorf("a bad value below a good one: %v", got)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		dirs  []string
		file  string
		want  string
	}{
		"a .env that is a directory": {dirs: []string{".env"}, want: ".env: cannot be read: is a directory"},
		"a named file that is gone":  {file: "gone.toml", want: "gone.toml: cannot be read: no such file"},
		"no TOML":                    {files: map[string]string{"byline.toml": "debug = true\nopenai_api_key = sk-hunter2\n"}, want: "byline.toml:2: this is not TOML"},
		"a key twice":                {files: map[string]string{"byline.toml": "debug = true\ndebug = false\n"}, want: "byline.toml:2: a key stands twice"},
		"a date":                     {files: map[string]string{"byline.toml": "app_name = '''\napp_version = \"x\"\n'''\napp_version = 2020-01-01\n"}, want: "byline.toml:4: app_version is a table or a date"},
		"UTF-16":                     {files: map[string]string{".env": "\xff\xfeA\x00"}, want: "save it as UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.files)
			for _, d := range tc.dirs {
				if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			src := config.Sources{Dir: dir}
			if tc.file != "" {
				src.File = filepath.Join(dir, tc.file)
			}
			_, _, err := config.Load(src)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestTOMLValues(t *testing.T) {
	cfg, _ := load(t, config.Sources{Dir: write(t, map[string]string{"byline.toml": `
debug = true
byline_limits = "off"
max_upload_size = 104857600
access_token_expire_minutes = 30
cors_origins = ["http://LOCALHOST:3000/", "https://example.org"]
allowed_extensions = [".PDF", "md", "pdf"]
trusted_proxies = "10.1.2.3/8, ::1"
byline_drain_timeout = "1m30s"
database_url = "postgres://byline:secret@db:5432/byline?sslmode=disable"
`})})
	if !cfg.App.Debug || cfg.Server.Limits || cfg.Documents.MaxUploadSize != 100<<20 ||
		cfg.Accounts.AccessTTL != 30*time.Minute || cfg.Server.DrainTimeout != 90*time.Second || cfg.Storage.DatabaseURL == "" {
		t.Errorf("%+v", cfg)
	}
	if diff := cmp.Diff([]string{"http://localhost:3000", "https://example.org"}, cfg.Server.CORSOrigins); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pdf", "md"}, cfg.Documents.AllowedExtensions); diff != "" {
		t.Error(diff)
	}
	if got := cfg.Server.TrustedProxies; len(got) != 2 || got[0] != netip.MustParsePrefix("10.0.0.0/8") || got[1] != netip.MustParsePrefix("::1/128") {
		t.Errorf("proxies %v", got)
	}
}

func FuzzTOML(f *testing.F) {
	f.Add([]byte("debug = true\n[a.b]\nx = [1, 'y']\n"))
	f.Add([]byte("a = \"\"\"\nb = 1\n\"\"\"\nb = 2020-01-01\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, _ := config.ParseTOML(data)
		for name, line := range found {
			if line < 1 || line > strings.Count(string(data), "\n")+1 {
				t.Fatalf("%q in line %d", name, line)
			}
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, text := range []string{"100MB", "1m30s", "[\"http://a\"]", "10.0.0.0/8", "postgres://u:p@h/d?x#y", "[::1%eth0]:8000", "fe80::1%eth0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range config.Settings() {
			_, err := s.Parse(text)
			if err != nil && s.Secret && len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Fatalf("%s: %v repeats the value", s.Env, err)
			}
		}
	})
}
