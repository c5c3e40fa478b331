package cli_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/cli"
)

func TestDraftWritesAPostFromFilesFoldersAndGlobs(t *testing.T) {
	s := newSession(t)
	if err := os.MkdirAll("sources/.git", 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("a.md", "about a")
	s.write("b1.txt", "about b1")
	s.write("b2.txt", "about b2")
	s.write("sources/c.pdf", "about c")
	s.write("sources/d.exe", "no")
	s.write("sources/.git/config.txt", "no")
	s.lib.docs["a.md"] = doc{looks: 2}
	got := s.run("draft", "a.md", "b?.txt", "./a.md", "sources", "--title", "Warm rooms", "--topic", "heating", "--topic", "costs", "--words", "300",
		"--language", "en", "--cite=links", "--preset=hugo", "-o", "posts/post.md")
	got.want(t, cli.ExitPartly, "posts/post.md: \"Warm rooms\", 30 words, 3 of 4 sentences cited\n", "sources/d.exe: This kind of file cannot be read")
	want := "[1/5] taking in a.md\n[2/5] taking in b1.txt\n[3/5] taking in b2.txt\n[4/5] taking in a.md\n[5/5] taking in c.pdf\n[1/5] reading a.md\nlooking through the sources\nNothing is said about costs.\nNot used:\n"
	if !strings.HasPrefix(got.err, want) {
		t.Errorf("progress:\n%s\nwant:\n%s", got.err, want)
	}
	if diff := cmp.Diff(map[string]string{"a.md": "about a", "b1.txt": "about b1", "b2.txt": "about b2", "c.pdf": "about c"}, s.lib.uploads); diff != "" {
		t.Error(diff)
	}
	asked := map[string]any{"document_ids": []any{"a.md", "b1.txt", "b2.txt", "c.pdf"}, "title": "Warm rooms",
		"brief": map[string]any{"topics": []any{"heating", "costs"}, "words": 300.0, "language": "en"}}
	if diff := cmp.Diff(asked, s.lib.bodies["generate"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"format": "markdown", "citations": "links", "preset": "hugo"}, s.lib.bodies["export"]); diff != "" {
		t.Error(diff)
	}
	if post, err := os.ReadFile("posts/post.md"); err != nil || string(post) != s.lib.post {
		t.Errorf("the post is %q, %v", post, err)
	}
	if diff := cmp.Diff([]string{"drained", "closed"}, s.lib.state); diff != "" {
		t.Error(diff)
	}
}

func TestDraftTellsWhatItCouldNotUse(t *testing.T) {
	s := newSession(t)
	for _, name := range []string{"good.md", "refused.bin", "scan.pdf", "again.md", "esc\x1b[2J\n.md"} {
		s.write(name, "x")
	}
	if _, err := os.Stat("/proc/self/mem"); err != nil {
		t.Skip("there is no /proc/self/mem, a file that can be opened and not be read")
	}
	if err := os.Symlink("/proc/self/mem", "unreadable.md"); err != nil {
		t.Fatal(err)
	}
	s.lib.docs["refused.bin"] = doc{refused: 415, error: "This is no text."}
	s.lib.docs["scan.pdf"] = doc{status: "failed", error: "It has no text, only images.\x1b]0;owned\a", looks: 1}
	s.lib.docs["again.md"] = doc{status: "failed", known: true, error: "Still broken."}
	s.lib.docs["esc\ufffd[2J\ufffd.md"] = doc{refused: 415, error: "no"}
	got := s.run("draft", "--quiet", "good.md", "refused.bin", "scan.pdf", "again.md", "esc\x1b[2J\n.md", "unreadable.md", "-o", "post.md")
	got.want(t, cli.ExitPartly, "post.md: ", "Not used:\n  refused.bin: This is no text.\n")
	for _, want := range []string{"  scan.pdf: It has no text, only images.\ufffd]0;owned\ufffd\n", "  again.md: Still broken.\n", "  esc\ufffd[2J\ufffd.md: no\n", "  unreadable.md: It cannot be read: input/output error.\n"} {
		if !strings.Contains(got.err, want) {
			t.Errorf("no %q in\n%s", want, got.err)
		}
	}
	if strings.ContainsAny(got.err+got.out, "\x1b\a") {
		t.Error("control characters reach the terminal")
	}
	if !strings.Contains(strings.Join(s.lib.asked, "\n"), "POST /api/v1/documents/again.md/process") {
		t.Error("a document that failed before was not tried again")
	}
	got = s.run("draft", "--json", "refused.bin", "good.md", "-o", "post.md")
	got.want(t, cli.ExitPartly, `{"path":"post.md","draft_id":"D1","title":"Warm rooms","words":30,"sentences":4,"cited":3,"unused":[{"path":"refused.bin","reason":"This is no text."}]}`+"\n", "")
	if got.err != "" {
		t.Errorf("--json also says %q", got.err)
	}
	s.run("draft", "refused.bin", "-o", "none.md").want(t, cli.ExitFailed, "", "byline: None of the sources could be used")
	if _, err := os.Stat("none.md"); err == nil {
		t.Error("a post was written from nothing")
	}
}

func TestDraftRefusesAWrongCommandLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no source":             {[]string{"draft"}, "name at least one source"},
		"a missing source":      {[]string{"draft", "a.md"}, `no file, folder or match for "a.md"`},
		"a broken glob":         {[]string{"draft", "[a"}, `match for "[a"`},
		"sources with --resume": {[]string{"draft", "--resume", "R1", "a.md"}, "--resume takes up a run"},
		"a wrong choice":        {[]string{"draft", "--cite=endnotes", "a.md"}, "use footnotes, links or none"},
		"an unknown flag":       {[]string{"draft", "--wrods=3", "a.md"}, "unknown flag: --wrods"},
		"an unknown command":    {[]string{"drift"}, `byline has no command "drift"; did you mean draft?`},
		"an unknown subcommand": {[]string{"user", "remove"}, `byline user has no command "remove"`},
		"an argument too much":  {[]string{"serve", "now"}, `unknown command "now"`},
		"a flag without value":  {[]string{"draft", "--title"}, "flag needs an argument"},
		"too many arguments":    {[]string{"user", "add", "a", "b"}, "accepts 1 arg"},
		"too few arguments":     {[]string{"search"}, "requires at least 1 arg"},
		"a bad setting":         {[]string{"search", "--listen=x", "y"}, "--listen: "},
	} {
		t.Run(name, func(t *testing.T) {
			newSession(t).run(tc.args...).want(t, cli.ExitUsage, "", tc.says)
		})
	}
}

func TestABrokenStreamIsTakenUpWhereItBroke(t *testing.T) {
	s := newSession(t)
	s.write("a.md", "x")
	s.lib.cuts = []int{2, 0, 1, 0}
	s.run("draft", "a.md", "-o", "p.md").want(t, cli.ExitOK, "p.md: ", "Nothing is said about costs.")
	if diff := cmp.Diff([]string{"", "2", "2", "3", "3"}, s.lib.resumed); diff != "" {
		t.Error(diff)
	}
}

func TestStepsAreToldInWords(t *testing.T) {
	s := newSession(t)
	end := s.lib.log[len(s.lib.log)-1]
	s.lib.log = nil
	for _, step := range []string{"sources", "survey", "plan", "gather", "write/head", "write/1", "verify", "repair", "correct/s1/1", "show/s1#2", "verify#2", "finish", "0badcafe/plan", "some\\u001bthing"} {
		s.lib.log = append(s.lib.log, `{"type":"step.started","data":{"step":"`+step+`"}}`)
	}
	s.lib.log = append(s.lib.log, `{"type":"reset","data":{"channel":"draft"}}`, end)
	got := s.run("draft", "--resume", "R1", "-o", "p.md")
	got.want(t, cli.ExitOK, "p.md: ", "looking through the sources\nplanning\ngathering evidence\nwriting\nchecking every citation\ncorrecting what is not found in the sources\nwriting\nchecking every citation\nfinishing the post\nplanning\nat work: some\ufffdthing\n")
}

func TestAStreamThatStaysBrokenIsGivenUp(t *testing.T) {
	for name, tc := range map[string]struct {
		set  func(*library)
		says string
	}{
		"cut each time": {func(l *library) { l.cuts = []int{0, 0, 0, 0, 0, 0, 0} }, "breaks off again and again. The writing goes on when Byline is started again. Take it up with: byline draft --resume R1 --output p.md"},
		"unavailable": {func(l *library) {
			l.cuts = []int{1}
			l.answers["GET /api/v1/runs/R1/events"] = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Last-Event-ID") == "" {
					return false
				}
				problem(w, 503, "draining", "The server is stopping.")
				return true
			}
		}, "breaks off again and again"},
		"refused": {func(l *library) {
			l.answers["GET /api/v1/runs/R1/events"] = func(w http.ResponseWriter, r *http.Request) bool {
				problem(w, 404, "not_found", "There is no such run.")
				return true
			}
		}, "There is no such run."},
		"no JSON":       {func(l *library) { l.log = []string{`{"type":`} }, "read event after 0"},
		"no event data": {func(l *library) { l.log = []string{`{"type":"token","data":3}`} }, "read event token"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.write("a.md", "x")
			tc.set(s.lib)
			s.run("draft", "a.md", "-o", "p.md").want(t, cli.ExitFailed, "", tc.says)
			if _, err := os.Stat("p.md"); err == nil {
				t.Error("a post was saved")
			}
		})
	}
}

func TestARunThatDoesNotEndWell(t *testing.T) {
	for name, tc := range map[string]struct{ event, says string }{
		"failed":    {`{"type":"run.failed","data":{"code":"no_evidence","detail":"The sources say nothing about this."}}`, "The sources say nothing about this."},
		"cancelled": {`{"type":"run.cancelled","data":{}}`, "The writing was cancelled"},
		"no draft":  {`{"type":"run.completed","data":{}}`, "The run R1 wrote no draft."},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.lib.log = []string{`{"type":"run.restarted","data":{}}`, tc.event}
			s.run("draft", "--resume", "R1").want(t, cli.ExitFailed, "", tc.says)
		})
	}
}

func TestAnInterruptSaysHowToGoOn(t *testing.T) {
	working := []string{`{"type":"step.started","data":{"step":"plan"}}`}
	for name, tc := range map[string]struct {
		set  func(l *library, stop func())
		args []string
		says string
	}{
		"while writing": {func(l *library, stop func()) { l.log, l.onEvent = working, func(int) { stop() } }, []string{"-o", "it's.md", "--data", "lib", "--cite=none"},
			`Stopped. The writing goes on when Byline is started again. Take it up with: byline draft --resume R1 --output 'it'\''s.md' --cite none --data lib` + "\n"},
		"while a document is read": {func(l *library, stop func()) {
			l.docs["a.md"] = doc{looks: 1e9}
			l.answers["GET /api/v1/documents/{id}"] = func(http.ResponseWriter, *http.Request) bool {
				stop()
				return false
			}
		}, nil, "Stopped. What was taken in is kept: run the same command again.\n"},
		"while uploading": {func(l *library, stop func()) {
			l.answers["POST /api/v1/documents/upload"] = func(_ http.ResponseWriter, r *http.Request) bool {
				stop()
				io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				return true
			}
		}, nil, "Stopped. What was taken in is kept: run the same command again.\n"},
		"while waiting for a stream": {func(l *library, stop func()) {
			l.answers["GET /api/v1/runs/R1/events"] = func(w http.ResponseWriter, _ *http.Request) bool {
				stop()
				w.Write([]byte("retry: 60000\n"))
				return true
			}
		}, nil, "--resume R1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.write("a.md", "x")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			tc.set(s.lib, stop)
			got := s.runWith(ctx, append([]string{"draft", "a.md"}, tc.args...)...)
			got.want(t, cli.ExitInterrupted, "", tc.says)
			if diff := cmp.Diff([]string{"drained", "closed"}, s.lib.state); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhereThePostGoes(t *testing.T) {
	s := newSession(t)
	s.write("a.md", "x")
	s.write("warm-rooms.md", "mine")
	s.write("old.md", "old and longer than the new one, by far")
	if err := os.Symlink("old.md", "link.md"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("there", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ out, path string }{
		{"", "warm-rooms-2.md"}, {"", "warm-rooms-3.md"}, {"new/", "new/warm-rooms.md"}, {"there", "there/warm-rooms.md"}, {"link.md", "link.md"}, {"/dev/null", "/dev/null"},
	} {
		s.run("draft", "-q", "a.md", "-o", tc.out).want(t, cli.ExitOK, tc.path+": ", "")
	}
	for name, want := range map[string]string{"warm-rooms.md": "mine", "warm-rooms-2.md": s.lib.post, "new/warm-rooms.md": s.lib.post, "there/warm-rooms.md": s.lib.post, "old.md": s.lib.post} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if info, err := os.Lstat("link.md"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Error("/dev/null was replaced")
	}
	got := s.run("draft", "a.md", "-o", "-", "--quiet")
	if got.out != s.lib.post || got.code != cli.ExitOK {
		t.Errorf("standard output has %q", got.out)
	}
	got.want(t, cli.ExitOK, "", `-: "Warm rooms"`)
	s.lib.filename = "../../etc/passwd"
	s.run("draft", "-q", "a.md").want(t, cli.ExitOK, "passwd: ", "")
	s.lib.filename = ".."
	s.run("draft", "-q", "a.md").want(t, cli.ExitOK, "post.md: ", "")
	s.lib.filename = `"`
	s.run("draft", "-q", "a.md").want(t, cli.ExitOK, "post-2.md: ", "")
}

func TestThePostIsSavedWholeOrNotAtAll(t *testing.T) {
	s := newSession(t)
	s.write("a.md", "x")
	s.write("post.md", "the old one")
	s.lib.answers["POST /api/v1/blog/D1/export"] = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte("half of it"))
		return true
	}
	s.run("draft", "-q", "a.md", "-o", "post.md").want(t, cli.ExitFailed, "", "read post")
	delete(s.lib.answers, "POST /api/v1/blog/D1/export")
	s.write("file", "x")
	s.run("draft", "-q", "a.md", "-o", "file/post.md").want(t, cli.ExitFailed, "", "save post: ")
	if got, err := os.ReadFile("post.md"); err != nil || string(got) != "the old one" {
		t.Errorf("the old post is %q, %v", got, err)
	}
	if left, err := filepath.Glob(".byline-*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for pattern, says := range map[string]string{
		"POST /api/v1/blog/generate": "words is not allowed", "GET /api/v1/blog/D1": "no such", "POST /api/v1/blog/D1/export": "words is not allowed", "GET /api/v1/documents/{id}": "no such",
	} {
		s.lib.answers = map[string]func(http.ResponseWriter, *http.Request) bool{pattern: func(w http.ResponseWriter, _ *http.Request) bool {
			problem(w, 422, "invalid", says)
			return true
		}}
		s.run("draft", "-q", "a.md", "-o", "post.md").want(t, cli.ExitFailed, "", says+"\n  body.x: x is not allowed\n")
	}
}
