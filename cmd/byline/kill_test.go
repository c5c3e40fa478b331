package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a kill -9 must not do: lose what was acknowledged, show halves, repeat what was done (faults 1 to 3). A seed is one random
// moment; make torture tries 200 of each, CI 20.

// seeds is how many moments are tried: a few, unless TORTURE_SEEDS says more.
func seeds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("TORTURE_SEEDS"))
	if err != nil {
		n = 4
	}
	return n
}

// victim is a server that is killed and started again on one data directory.
type victim struct {
	t          *testing.T
	dir, bin   string
	settings   []string
	cmd        *exec.Cmd
	mu         sync.Mutex // guards url and token, which change with each start
	url, token string
}

var buildOnce = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("TEST_BINARY"); bin != "" {
		return bin, nil
	}
	dir, err := os.MkdirTemp("", "byline-kill-*")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "byline")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// newVictim starts a server with settings such as "BYLINE_WORKERS=60".
func newVictim(t *testing.T, settings ...string) *victim {
	t.Helper()
	bin, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, dir: t.TempDir(), bin: bin, settings: settings}
	v.start()
	t.Cleanup(func() { v.kill() })
	return v
}

func (v *victim) start() {
	v.t.Helper()
	os.Remove(filepath.Join(v.dir, "serve.json")) //nolint:errcheck // of the one that was killed
	v.cmd = exec.Command(v.bin, "serve", "--data", v.dir, "--listen", "127.0.0.1:0")
	v.cmd.Dir = v.dir
	v.cmd.Env = slices.Concat(os.Environ(), []string{"HOME=" + v.dir, "DEFAULT_LLM_PROVIDER=offline"}, v.settings) // whatever model runs on this machine
	var log bytes.Buffer
	v.cmd.Stderr = &log
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		var at struct{ URL, Token string }
		data, err := os.ReadFile(filepath.Join(v.dir, "serve.json"))
		if err == nil && json.Unmarshal(data, &at) == nil && ready(at.URL) == nil {
			v.mu.Lock()
			v.url, v.token = at.URL, at.Token
			v.mu.Unlock()
			return
		}
	}
	v.t.Fatalf("the server does not start:\n%s", log.String())
}

func (v *victim) kill() {
	v.cmd.Process.Kill() //nolint:errcheck // it may have gone
	v.cmd.Wait()         //nolint:errcheck // it was killed
}

// request makes a request to whatever server runs now.
func (v *victim) request(ctx context.Context, method, path string, body io.Reader, header ...string) (*http.Response, error) {
	v.mu.Lock()
	url, token := v.url, v.token
	v.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, method, url+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return http.DefaultClient.Do(req)
}

// ask wants an answer, as JSON in out.
func (v *victim) ask(method, path, body string, out any) {
	v.t.Helper()
	resp, err := v.request(v.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		v.t.Fatalf("%s %s: %s %v %s", method, path, resp.Status, err, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		v.t.Fatalf("%s %s: %v in %s", method, path, err, data)
	}
}

type doc struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Chunks int    `json:"chunk_count"`
	Error  string `json:"error_message"`
}

// upload sends a file and wants its document.
func (v *victim) upload(name, content string) doc {
	v.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	w, err := form.CreateFormFile("file", name)
	if err != nil {
		v.t.Fatal(err)
	}
	io.WriteString(w, content) //nolint:errcheck // a buffer
	form.Close()               //nolint:errcheck // a buffer
	resp, err := v.request(v.t.Context(), "POST", "/documents/upload", &b, "Content-Type", form.FormDataContentType())
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	var d doc
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil || d.ID == "" {
		v.t.Fatalf("upload: %s %v", resp.Status, err)
	}
	return d
}

// settled waits until a document is done.
func (v *victim) settled(id string) doc {
	v.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var d doc
		if v.ask("GET", "/documents/"+id, "", &d); d.Status == "completed" || d.Status == "failed" {
			return d
		}
	}
	v.t.Fatalf("document %s is never done", id)
	return doc{}
}

// sound runs byline verify.
func (v *victim) sound() {
	v.t.Helper()
	out, err := exec.Command(v.bin, "verify", "--data", v.dir).CombinedOutput()
	if err != nil {
		v.t.Fatalf("verify: %v\n%s", err, out)
	}
}

// prose makes text of n paragraphs that differ by seed.
func prose(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("the library boiler window council report winter heating cost energy grant plan roof visitor reading room summer noise insulation meter budget pump street desk lending year month euro tonne saving")
	var b strings.Builder
	fmt.Fprintf(&b, "# Document %d\n\n", seed)
	for i := range n {
		if i%6 == 0 {
			fmt.Fprintf(&b, "## Part %d\n\n", i/6+1)
		}
		for range 4 {
			fmt.Fprintf(&b, "The %s", words[r.IntN(len(words))])
			for range 9 + r.IntN(8) {
				b.WriteString(" " + words[r.IntN(len(words))])
			}
			b.WriteString(". ")
		}
		b.WriteString("\n\n")
	}
	return b.String()
}

func TestKillDuringUpload(t *testing.T) {
	v := newVictim(t)
	content := strings.Repeat("A line of a long document that is on its way in.\n", 100_000)
	for seed := range seeds(t) {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		stop := r.IntN(len(content))
		pr, pw := io.Pipe()
		form := multipart.NewWriter(pw)
		var killed sync.WaitGroup
		killed.Go(func() {
			w, err := form.CreateFormFile("file", fmt.Sprintf("long-%d.txt", seed))
			if err == nil {
				_, err = io.WriteString(w, content[:stop])
			}
			v.kill()
			pw.CloseWithError(errors.Join(err, errors.New("killed")))
		})
		resp, err := v.request(t.Context(), "POST", "/documents/upload", pr, "Content-Type", form.FormDataContentType())
		if err == nil {
			resp.Body.Close()
			t.Fatalf("an answer to half a file: %s", resp.Status)
		}
		pr.Close()
		killed.Wait()
		v.start()
		var list struct {
			Total int `json:"total"`
		}
		if v.ask("GET", "/documents", "", &list); list.Total != 0 {
			t.Fatalf("seed %d: %d documents of half a file", seed, list.Total)
		}
		if left, _ := filepath.Glob(filepath.Join(v.dir, "staged", "*")); len(left) != 0 {
			t.Fatalf("seed %d: left behind: %v", seed, left)
		}
	}
	v.sound()
}

func TestKillDuringProcessing(t *testing.T) {
	v := newVictim(t)
	whole := v.settled(v.upload("reference.md", prose(1<<40, 400)).ID)
	for seed := range seeds(t) {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		text := strings.Replace(prose(1<<40, 400), "Document", "Document "+strconv.Itoa(seed)+" of", 1)
		d := v.upload(fmt.Sprintf("d%d.md", seed), text)
		time.Sleep(time.Duration(r.IntN(120_000)) * time.Microsecond)
		v.kill()
		v.start()
		began := time.Now()
		got := v.settled(d.ID)
		if got.Status != "completed" || got.Chunks != whole.Chunks {
			t.Fatalf("seed %d: %+v, want %d passages", seed, got, whole.Chunks)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("seed %d: went on after %v", seed, took)
		}
		var found struct {
			Results []struct {
				Document string `json:"document_id"`
			} `json:"results"`
		}
		v.ask("POST", "/documents/search", fmt.Sprintf(`{"query":"library boiler window","top_k":100,"document_ids":[%q]}`, d.ID), &found)
		if len(found.Results) == 0 {
			t.Fatalf("seed %d: nothing found", seed)
		}
	}
	v.sound()
}

func TestKillDuringGeneration(t *testing.T) {
	v := newVictim(t)
	var ids []string
	for i := range 3 {
		ids = append(ids, strconv.Quote(v.settled(v.upload(fmt.Sprintf("s%d.md", i), prose(uint64(i), 120)).ID).ID))
	}
	wish := `{"document_ids":[` + strings.Join(ids, ",") + `],"brief":{"words":3000}}`
	for seed := range seeds(t) {
		r := rand.New(rand.NewPCG(uint64(seed), 4))
		var started struct {
			Draft, Run struct {
				ID string `json:"id"`
			}
		}
		v.ask("POST", "/blog/generate", wish, &started)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		readers := make(chan *reader, 2)
		for range cap(readers) {
			go func() { readers <- v.read(ctx, started.Run.ID, nil) }()
		}
		for range 1 + r.IntN(3) { // up to three kills of one run
			time.Sleep(time.Duration(r.IntN(150_000)) * time.Microsecond)
			v.kill()
			v.start()
		}
		var d struct {
			Content string `json:"content"`
			Version int    `json:"version"`
			Status  string `json:"status"`
		}
		for range cap(readers) {
			rd := <-readers
			v.ask("GET", "/blog/"+started.Draft.ID, "", &d)
			if rd.end != "run.completed" || len(rd.problems) > 0 {
				t.Fatalf("seed %d: the run ended with %q, a reader saw %v", seed, rd.end, rd.problems)
			}
			if got := rd.whole(); got != d.Content {
				t.Fatalf("seed %d: a reader has %d bytes, the draft %d", seed, len(got), len(d.Content))
			}
		}
		cancel()
		if d.Status != "completed" || d.Version != 1 {
			t.Fatalf("seed %d: draft is %s with %d versions", seed, d.Status, d.Version)
		}
	}
	v.sound()
}
