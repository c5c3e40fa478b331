package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// The plan of the house (docs/ARCHITECTURE.md) as a test. Two tables hold it: who may stand on whom, and who may use
// which module of others. What has no place in them is an error, so that a new package or dependency is a decision.

// floor is a row of the first table.
type floor struct {
	name     string
	packages []string // below internal/, from left to right; "x/*" is every package below x
	on       []string // the floors and packages that its packages may import
	// beside says which neighbours on the same floor may be imported: "" none, "left" those further left in packages,
	// "acyclic" all, as long as there is no cycle (the compiler sees to that).
	beside string
	// tests names what its tests may import beyond that, because they use real parts instead of mocks.
	tests []string
}

var floors = []floor{
	{name: "ground", packages: []string{"ident", "fault"}},
	{name: "engine", packages: []string{"engine/*"}, on: []string{"ground"}, beside: "acyclic"},
	{name: "plumbing", packages: []string{"llm", "blob", "runs", "live", "quota", "ops"}, on: []string{"ground", "engine"}, tests: []string{"outside"}},
	{
		name: "room", packages: []string{"account", "document", "search", "ingest", "draft", "session", "agent", "publish", "eval"},
		on: []string{"ground", "engine", "plumbing"}, beside: "left", tests: []string{"outside"},
	},
	{name: "outside", packages: []string{"store", "driver/*"}, on: []string{"ground", "engine", "plumbing", "room"}, tests: []string{"outside"}},
	{name: "config", packages: []string{"config"}, on: []string{"ground"}},
	{name: "face", packages: []string{"httpapi", "web", "cli"}, on: []string{"ground", "plumbing", "room", "config"}, tests: []string{"engine", "outside", "face", "roof"}},
	{name: "roof", packages: []string{"app"}, on: []string{"ground", "engine", "plumbing", "room", "outside", "config", "face"}},
	{name: "door", packages: []string{"/cmd/*"}, on: []string{"app", "cli", "engine/sandbox", "engine/passhash"}, tests: []string{"ground", "engine", "plumbing", "room", "outside", "config"}},
	// Benchmarks and end-to-end tests look at the house from outside, so they may import anything but are imported by nobody.
	{name: "yard", packages: []string{"/bench/*", "/e2e/*"}, on: []string{"ground", "engine", "plumbing", "room", "outside", "config", "face", "roof"}},
}

// module is a row of the second table: the packages that may import a module of others. Its reason is in
// docs/adr/0001-dependencies.md, which must name it.
type module struct {
	path string
	used []string // packages below internal/ or floors; "tests" is every test
}

var modules = []module{
	{"codeberg.org/readeck/go-readability/v2", []string{"engine/html"}},
	{"github.com/BurntSushi/toml", []string{"config"}},
	{"github.com/blevesearch/snowballstem", []string{"engine/lexical", "engine/chunk", "engine/summarize"}},
	{"github.com/clipperhouse/uax29/v2", []string{"engine/lexical", "engine/chunk", "engine/summarize"}},
	{"github.com/coder/websocket", []string{"httpapi", "tests"}},
	{"github.com/danielgtaylor/huma/v2", []string{"httpapi"}},
	{"github.com/dustin/go-humanize", []string{"cli"}},
	{"github.com/elastic/elastic-transport-go/v8", []string{"driver/elastic"}},
	{"github.com/failsafe-go/failsafe-go", []string{"search", "llm"}},
	{"github.com/gabriel-vasile/mimetype", []string{"engine", "ingest"}},
	{"github.com/getkin/kin-openapi", []string{"tests"}},
	{"github.com/gofrs/flock", []string{"store", "app"}},
	{"github.com/golang-jwt/jwt/v5", []string{"account"}},
	{"github.com/google/go-cmp", []string{"tests"}},
	{"github.com/jackc/pgx/v5", []string{"store"}},
	{"github.com/klippa-app/go-pdfium", []string{"engine/pdf", "engine/sandbox"}},
	{"github.com/modelcontextprotocol/go-sdk", []string{"httpapi", "driver/mcp", "tests"}},
	{"github.com/pressly/goose/v3", []string{"store"}},
	{"github.com/prometheus/client_golang", []string{"ops"}},
	{"github.com/rogpeppe/go-internal", []string{"tests"}},
	{"github.com/rs/cors", []string{"httpapi"}},
	{"github.com/schollz/progressbar/v3", []string{"cli"}},
	{"github.com/spf13/cobra", []string{"cli"}},
	{"github.com/tetratelabs/wazero", []string{"engine/pdf", "engine/sandbox"}},
	{"github.com/wlynxg/chardet", []string{"engine"}},
	{"github.com/yuin/goldmark", []string{"engine/markdown"}},
	{"github.com/tiktoken-go/tokenizer", []string{"llm"}},
	{"go.uber.org/goleak", []string{"tests"}},
	{"golang.org/x/crypto", []string{"engine/passhash"}},
	{"golang.org/x/net", []string{"engine/html", "driver/webpage"}},
	{"golang.org/x/sys", []string{"engine", "outside", "app", "cli"}},
	{"golang.org/x/term", []string{"cli"}},
	{"golang.org/x/text", []string{"engine", "room", "store", "driver/webpage"}},
	{"modernc.org/sqlite", []string{"store"}},
	{"pgregory.net/rapid", []string{"tests"}},
}

// tools are modules that only `go tool` runs.
var tools = []string{"honnef.co/go/tools"}

// unsaying are names that do not say what a package is for.
var unsaying = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "core", "base", "manager", "managers", "misc", "shared", "lib"}

// plural are package names that end in s as the noun of one thing; runs and ops are fixed by the plan.
var plural = []string{"runs", "ops", "localfs", "redis", "safetensors"}

func TestLayout(t *testing.T) {
	for _, wrong := range inspect(os.DirFS(".."), "byline") {
		t.Error(wrong)
	}
}

func TestModulesAreExplained(t *testing.T) {
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile("../docs/adr/0001-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		if !strings.Contains(string(reasons), "`"+m.path+"`") {
			t.Errorf("docs/adr/0001-dependencies.md does not say why %s is needed", m.path)
		}
		if !slices.Contains(requirements(string(gomod)), m.path) {
			t.Errorf("%s is in the table but not in go.mod: take it out of both the table and docs/adr/0001-dependencies.md", m.path)
		}
	}
	for _, direct := range requirements(string(gomod)) {
		if ownerOf(direct) == nil && !slices.Contains(tools, direct) {
			t.Errorf("go.mod requires %s: add it to the table with its reason in docs/adr", direct)
		}
	}
}

// requirements are the paths of the modules that a go.mod requires directly.
func requirements(gomod string) []string {
	var paths []string
	for _, found := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+) v\S+$`).FindAllStringSubmatch(gomod, -1) {
		paths = append(paths, found[1])
	}
	return paths
}

// inspect tells what is wrong in a house: a file tree with a module's name.
func inspect(house fs.FS, name string) []string {
	var wrong []string
	packages, err := readPackages(house)
	if err != nil {
		return []string{err.Error()}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		p := packages[dir]
		p.check(func(format string, args ...any) { wrong = append(wrong, dir+": "+fmt.Sprintf(format, args...)) }, name)
	}
	return wrong
}

// pkg is a directory with Go files.
type pkg struct {
	dir      string // from the module's root: internal/store
	name     string // of its package clause, without _test; empty where there are only tests
	comments []string
	imports  map[string]bool // path -> also imported outside tests
}

// readPackages reads the clauses, comments and imports of all Go files, whatever their build constraints.
func readPackages(house fs.FS) (map[string]*pkg, error) {
	packages := map[string]*pkg{}
	err := fs.WalkDir(house, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() && file != "." && isModule(house, file): // stands beside the house with dependencies of its own
			return fs.SkipDir
		case d.IsDir() || path.Ext(file) != ".go":
			return nil
		}
		source, err := fs.ReadFile(house, file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := path.Dir(file)
		if packages[dir] == nil {
			packages[dir] = &pkg{dir: dir, imports: map[string]bool{}}
		}
		packages[dir].add(f, strings.HasSuffix(file, "_test.go"))
		return nil
	})
	return packages, err
}

func isModule(house fs.FS, dir string) bool {
	_, err := fs.Stat(house, path.Join(dir, "go.mod"))
	return err == nil
}

func (p *pkg) add(f *ast.File, test bool) {
	if !test {
		p.name = f.Name.Name
		if f.Doc != nil {
			p.comments = append(p.comments, f.Doc.Text())
		}
	}
	for _, spec := range f.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value) // the parser has made sure that it is a string
		p.imports[imported] = p.imports[imported] || !test
	}
}

// place is how the tables call a package: store for internal/store, /cmd/byline for cmd/byline.
func (p *pkg) place() string { return place(p.dir) }

func place(dir string) string {
	if inside, ok := strings.CutPrefix(dir, "internal/"); ok {
		return inside
	}
	return "/" + dir
}

// support tells whether the package only serves tests, such as store/storetest, and gives the place that it belongs to.
func support(place string) (string, bool) {
	parent, last := path.Split(place)
	parent = strings.TrimSuffix(parent, "/")
	if parent != "" && last == path.Base(parent)+"test" {
		return parent, true
	}
	return place, false
}

func (p *pkg) check(fail func(string, ...any), module string) {
	if p.dir == "internal" || p.dir == "." {
		if p.name != "" {
			fail("there is no package at this level, only tests of the whole house")
		}
		return
	}
	at, serves := support(p.place())
	if floorOf(at) == nil {
		fail("has no place in the house: find its floor in internal/layout_test.go, or which room's noun it changes")
		return
	}
	if p.name != "" {
		p.checkName(fail)
		p.checkComment(fail)
	}
	for _, imported := range slices.Sorted(maps.Keys(p.imports)) {
		tests := serves || !p.imports[imported]
		first, _, _ := strings.Cut(imported, "/")
		switch {
		case imported == module:
			fail("imports the module's root, which has no package")
		case first == module:
			p.checkNeighbour(fail, at, place(strings.TrimPrefix(imported, module+"/")), tests)
		case strings.Contains(first, "."):
			checkModule(fail, at, imported, tests)
		}
	}
}

func (p *pkg) checkName(fail func(string, ...any)) {
	last := path.Base(p.dir)
	if p.name != "main" && p.name != last {
		fail("package %s does not have its directory's name", p.name)
	}
	if slices.Contains(unsaying, last) {
		fail("%s says nothing: name the package after the noun that it is about", last)
	}
	if strings.HasSuffix(last, "s") && !strings.HasSuffix(last, "ss") && !slices.Contains(plural, last) {
		fail("%s is not a singular noun", last)
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9]*$`).MatchString(last) {
		fail("%s is not one lower-case word", last)
	}
}

func (p *pkg) checkComment(fail func(string, ...any)) {
	opening := "Package " + p.name + " "
	if p.name == "main" {
		opening = "Command " + path.Base(p.dir) + " "
	}
	switch {
	case len(p.comments) == 0:
		fail("has no package comment: say in one sentence what it is for (%q...)", opening)
	case len(p.comments) > 1:
		fail("has %d package comments: keep one", len(p.comments))
	case !strings.HasPrefix(p.comments[0], opening):
		fail("its package comment does not begin with %q", opening)
	case !strings.HasSuffix(paragraph(p.comments[0]), "."):
		fail("the first paragraph of its package comment is not a sentence")
	}
}

// paragraph is the first one of a comment.
func paragraph(comment string) string {
	first, _, _ := strings.Cut(comment, "\n\n")
	return strings.TrimSpace(first)
}

// checkNeighbour holds the first table for one import within the house; both are places.
func (p *pkg) checkNeighbour(fail func(string, ...any), from, to string, tests bool) {
	target, helps := support(to)
	switch {
	case helps && !tests:
		fail("imports %s, which is for tests only", to)
		return
	case target == from:
		return
	}
	mine, theirs := floorOf(from), floorOf(target)
	if theirs == nil {
		return // reported at that package
	}
	if standsOn(mine.on, target) || tests && standsOn(mine.tests, target) {
		return
	}
	if mine.name != theirs.name {
		fail("imports %s: a package of the floor %q must not know the floor %q", to, mine.name, theirs.name)
		return
	}
	left := slices.Index(mine.packages, target) < slices.Index(mine.packages, from)
	if mine.beside == "acyclic" || mine.beside == "left" && left {
		return
	}
	if mine.beside == "left" {
		fail("imports %s: a room may only know the rooms to its left (%s)", to, strings.Join(mine.packages, " "))
		return
	}
	fail("imports %s: packages of the floor %q do not know each other", to, mine.name)
}

// checkModule holds the second table for one import from outside.
func checkModule(fail func(string, ...any), from, imported string, tests bool) {
	m := ownerOf(imported)
	switch {
	case m == nil:
		fail("imports %s: add it to the table with its reason in docs/adr", imported)
	case standsOn(m.used, from) || tests && slices.Contains(m.used, "tests"):
	case slices.Equal(m.used, []string{"tests"}):
		fail("imports %s, which is for tests only", imported)
	case tests && floorOf(from).name == "yard":
	default:
		fail("imports %s, which belongs to %s", imported, strings.Join(m.used, ", "))
	}
}

// ownerOf gives the row of the module that a package path belongs to.
func ownerOf(imported string) *module {
	for i, m := range modules {
		if imported == m.path || strings.HasPrefix(imported, m.path+"/") {
			return &modules[i]
		}
	}
	return nil
}

// floorOf gives the floor of a place, nil where it has none.
func floorOf(place string) *floor {
	for i, f := range floors {
		for _, pattern := range f.packages {
			if fits(pattern, place) {
				return &floors[i]
			}
		}
	}
	return nil
}

// fits tells whether a place is what a pattern such as store or driver/* means.
func fits(pattern, place string) bool {
	if above, ok := strings.CutSuffix(pattern, "/*"); ok {
		return place == above && strings.HasPrefix(above, "/") || strings.HasPrefix(place, above+"/")
	}
	return pattern == place
}

// standsOn tells whether a list of floors and packages has a place.
func standsOn(list []string, place string) bool {
	return slices.Contains(list, floorOf(place).name) || slices.ContainsFunc(list, func(pattern string) bool { return fits(pattern, place) })
}

// TestInspect holds the test itself: each house has one fault, or none.
func TestInspect(t *testing.T) {
	const doc = "// Package %s is here.\npackage %[1]s\n"
	source := func(name string, imports ...string) string {
		s := fmt.Sprintf(doc, name)
		for _, i := range imports {
			s += fmt.Sprintf("import _ %q\n", i)
		}
		return s
	}
	rows := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{
			name: "each floor on those below",
			files: map[string]string{
				"internal/fault/fault.go":             source("fault", "errors"),
				"internal/engine/chunk/chunk.go":      source("chunk", "byline/internal/fault", "byline/internal/engine/extract"),
				"internal/engine/extract/extract.go":  source("extract"),
				"internal/document/document.go":       source("document", "byline/internal/runs", "byline/internal/account"),
				"internal/document/document_test.go":  "package document_test\nimport _ \"byline/internal/store\"\nimport _ \"github.com/google/go-cmp/cmp\"\n",
				"internal/account/account.go":         source("account", "github.com/golang-jwt/jwt/v5"),
				"internal/runs/runs.go":               source("runs", "byline/internal/engine/extract"),
				"internal/store/store.go":             source("store", "byline/internal/document", "modernc.org/sqlite"),
				"internal/store/storetest/exam.go":    source("storetest", "byline/internal/document", "github.com/google/go-cmp/cmp"),
				"internal/store/store_test.go":        "package store_test\nimport _ \"byline/internal/store/storetest\"\n",
				"internal/app/app.go":                 source("app", "byline/internal/store", "byline/internal/cli"),
				"internal/cli/cli.go":                 source("cli", "byline/internal/config", "github.com/spf13/cobra"),
				"internal/config/config.go":           source("config"),
				"cmd/byline/main.go":                  "// Command byline opens the door.\npackage main\nimport _ \"byline/internal/app\"\n",
				"bench/load/main.go":                  "// Command load measures.\npackage main\nimport _ \"byline/internal/app\"\n",
				"internal/layout_test.go":             "package internal_test\n",
				"web/node_modules/x/x.go":             "package x\n",
				"bench/http/go.mod":                   "module bench\n",
				"bench/http/peer.go":                  "package anything\nimport _ \"example.com/peer\"\n",
				"internal/engine/chunk/testdata/x.go": "package nothing\n",
			},
		},
		{
			name:  "no place",
			files: map[string]string{"internal/widget/widget.go": source("widget")},
			want:  []string{"internal/widget: has no place in the house: find its floor in internal/layout_test.go, or which room's noun it changes"},
		},
		{
			name:  "upwards",
			files: map[string]string{"internal/engine/chunk/chunk.go": source("chunk", "byline/internal/document")},
			want:  []string{`internal/engine/chunk: imports document: a package of the floor "engine" must not know the floor "room"`},
		},
		{
			name:  "upwards in a test",
			files: map[string]string{"internal/engine/chunk/chunk_test.go": "package chunk\nimport _ \"byline/internal/store\"\n"},
			want:  []string{`internal/engine/chunk: imports store: a package of the floor "engine" must not know the floor "outside"`},
		},
		{
			name:  "to the right",
			files: map[string]string{"internal/document/document.go": source("document", "byline/internal/draft")},
			want:  []string{"internal/document: imports draft: a room may only know the rooms to its left (account document search ingest draft session agent publish eval)"},
		},
		{
			name:  "a face beside a face",
			files: map[string]string{"internal/httpapi/api.go": source("httpapi", "byline/internal/web")},
			want:  []string{`internal/httpapi: imports web: packages of the floor "face" do not know each other`},
		},
		{
			name:  "a face on the store",
			files: map[string]string{"internal/cli/cli.go": source("cli", "byline/internal/store")},
			want:  []string{`internal/cli: imports store: a package of the floor "face" must not know the floor "outside"`},
		},
		{
			name:  "help for tests outside them",
			files: map[string]string{"internal/app/app.go": source("app", "byline/internal/store/storetest")},
			want:  []string{"internal/app: imports store/storetest, which is for tests only"},
		},
		{
			name:  "an unknown module",
			files: map[string]string{"internal/draft/draft.go": source("draft", "example.com/orm")},
			want:  []string{"internal/draft: imports example.com/orm: add it to the table with its reason in docs/adr"},
		},
		{
			name:  "a module in the wrong package",
			files: map[string]string{"internal/draft/draft.go": source("draft", "github.com/jackc/pgx/v5/pgxpool")},
			want:  []string{"internal/draft: imports github.com/jackc/pgx/v5/pgxpool, which belongs to store"},
		},
		{
			name:  "a module of tests outside them",
			files: map[string]string{"internal/draft/draft.go": source("draft", "pgregory.net/rapid")},
			want:  []string{"internal/draft: imports pgregory.net/rapid, which is for tests only"},
		},
		{
			name: "comments and names",
			files: map[string]string{
				"internal/engine/util/util.go":     source("util"),
				"internal/engine/tables/t.go":      source("tables"),
				"internal/engine/a_b/ab.go":        "// Package a_b is here.\npackage a_b\n",
				"internal/engine/cite/cite.go":     "package cite\n",
				"internal/engine/fuse/fuse.go":     "// Fuses things.\npackage fuse\n",
				"internal/engine/embed/embed.go":   "// Package embed\npackage embed\n",
				"internal/engine/vector/vector.go": source("vectors"),
				"internal/engine/html/a.go":        source("html"),
				"internal/engine/html/b.go":        source("html"),
			},
			want: []string{
				"internal/engine/a_b: a_b is not one lower-case word",
				`internal/engine/cite: has no package comment: say in one sentence what it is for ("Package cite "...)`,
				`internal/engine/embed: its package comment does not begin with "Package embed "`,
				`internal/engine/fuse: its package comment does not begin with "Package fuse "`,
				"internal/engine/html: has 2 package comments: keep one",
				"internal/engine/tables: tables is not a singular noun",
				"internal/engine/util: util says nothing: name the package after the noun that it is about",
				"internal/engine/vector: package vectors does not have its directory's name",
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			house := fstest.MapFS{}
			for name, text := range row.files {
				house[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if diff := cmp.Diff(row.want, inspect(house, "byline")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
