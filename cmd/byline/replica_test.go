package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"byline/internal/llm/llmtest"
	"byline/internal/store/storetest"
)

// Several servers with one PostgreSQL and one data directory. scripts/replicas.sh runs these tests: each takes seconds until a lease has run out.

// needReplicas skips a test that is not to be run by the way.
func needReplicas(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_REPLICAS") == "" {
		t.Skip("TEST_REPLICAS is not set: make replicas runs the tests of several servers")
	}
}

// cluster is what servers share.
type cluster struct {
	t             *testing.T
	bin, dir      string
	settings      []string
	token, second string // access and refresh token of its user
}

// replica is one of its servers, at an address that it keeps.
type replica struct {
	c    *cluster
	addr string
	cmd  *exec.Cmd
	log  *bytes.Buffer
}

func newCluster(t *testing.T, settings ...string) *cluster {
	t.Helper()
	needReplicas(t)
	bin, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &cluster{t: t, bin: bin, dir: dir, settings: append([]string{"HOME=" + dir, "DATABASE_URL=" + storetest.Schema(t), "BYLINE_REGISTRATION=open", "BYLINE_LIMITS=off"}, settings...)}
}

// withModel is newCluster with a model that writes posts, a word each pause.
func withModel(t *testing.T, pause time.Duration, settings ...string) (*cluster, *llmtest.Server) {
	t.Helper()
	needReplicas(t)
	endpoint := llmtest.New(t, func(c llmtest.Call) llmtest.Reply { return speaker(c).Drip(pause) })
	return newCluster(t, append([]string{"OPENAI_API_KEY=sk-test-0123456789", "OPENAI_BASE_URL=" + endpoint.URL, "DEFAULT_LLM_PROVIDER=openai", "DEFAULT_LLM_MODEL=fake-1"}, settings...)...), endpoint
}

// freeAddr is an address that nobody listens at.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// replica starts a server.
func (c *cluster) replica() *replica {
	c.t.Helper()
	r := &replica{c: c, addr: freeAddr(c.t)}
	r.start()
	c.t.Cleanup(func() { r.kill() })
	return r
}

func (r *replica) start() {
	t := r.c.t
	t.Helper()
	r.cmd = exec.Command(r.c.bin, "serve", "--data", r.c.dir, "--listen", r.addr)
	r.cmd.Dir, r.cmd.Env, r.log = r.c.dir, slices.Concat(os.Environ(), r.c.settings), &bytes.Buffer{}
	r.cmd.Stderr = r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ready("http://"+r.addr) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server does not start:\n%s", r.log)
		}
	}
}

func (r *replica) kill() {
	r.cmd.Process.Kill() //nolint:errcheck // it may have gone
	r.cmd.Wait()         //nolint:errcheck // it was killed
}

// stop ends it as a rolling restart does.
func (r *replica) stop() {
	r.c.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.c.t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.c.t.Fatalf("the server ended with %v:\n%s", err, r.log)
	}
}

// at is the cluster's user, who asks a server, or what stands before some.
func (c *cluster) at(addr string) *victim {
	c.t.Helper()
	v := &victim{t: c.t, url: "http://" + addr, token: c.token}
	if c.token == "" {
		const who = `{"email":"owner@example.com","password":"correct horse battery"}`
		v.ask("POST", "/auth/register", who, &struct{}{})
		c.login(v, "/auth/login", who)
		v.token = c.token
	}
	return v
}

// login takes new tokens.
func (c *cluster) login(v *victim, path, body string) {
	c.t.Helper()
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	v.ask("POST", path, body, &tokens)
	c.token, c.second = tokens.Access, tokens.Refresh
}

// sources uploads what posts are written from.
func (v *victim) sources() string {
	v.t.Helper()
	ids := []string{strconv.Quote(v.settled(v.upload("boiler.md", boiler).ID).ID)}
	for i := range 2 {
		ids = append(ids, strconv.Quote(v.settled(v.upload(fmt.Sprintf("s%d.md", i), prose(uint64(i), 40)).ID).ID))
	}
	return strings.Join(ids, ",")
}

// post begins one, and gives its draft and run.
func (v *victim) post(docs string) (draftID, runID string) {
	v.t.Helper()
	var started struct{ Draft, Run struct{ ID string } }
	v.ask("POST", "/blog/generate", `{"document_ids":[`+docs+`]}`, &started)
	return started.Draft.ID, started.Run.ID
}

// written wants a draft to be what a reader has, written once.
func (v *victim) written(draftID string, rd *reader) {
	v.t.Helper()
	var d struct {
		Content, Status string
		Version         int
	}
	v.ask("GET", "/blog/"+draftID, "", &d)
	if rd.end != "run.completed" || len(rd.problems) > 0 || rd.whole() != d.Content || d.Status != "completed" || d.Version != 1 {
		v.t.Fatalf("the run ended with %q, a reader saw %v and has %d bytes; the draft is %s, version %d, with %d bytes", rd.end, rd.problems, len(rd.whole()), d.Status, d.Version, len(d.Content))
	}
}

// moment waits for the first event of a type that comes after now, and tells when it came.
func (v *victim) moment(ctx context.Context, runID, kind string) time.Time {
	v.t.Helper()
	resp, err := v.request(ctx, "GET", "/runs/"+runID+"/events", nil, "Accept", "text/event-stream")
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		if sc.Text() == "event: "+kind {
			return time.Now()
		}
	}
	v.t.Fatalf("no %s in the log of the run", kind)
	return time.Time{}
}

// A server that works on a post is killed, while a reader follows it on another one: that one takes over, and the reader loses nothing. Then
// the other way round.
func TestReplicaTakesOver(t *testing.T) {
	t.Parallel() // most of it is waiting
	c, endpoint := withModel(t, 6*time.Millisecond, "BYLINE_WRITERS=1")
	worker, other := c.replica(), (*replica)(nil)
	docs := c.at(worker.addr).sources()
	draft, run := c.at(worker.addr).post(docs)
	c.at(worker.addr).written(draft, c.at(worker.addr).read(t.Context(), run, nil))
	steps := endpoint.Count()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		before := endpoint.Count()
		draft, run := c.at(worker.addr).post(docs)
		c.at(worker.addr).moment(ctx, run, "token") // nobody else is there to claim it
		if other == nil {
			other = c.replica()
		} else {
			other.start()
		}
		v := c.at(other.addr)
		var rd *reader
		var reading sync.WaitGroup
		reading.Go(func() { rd = v.read(ctx, run, nil) })
		worker.kill()
		killed := time.Now()
		took := v.moment(ctx, run, "run.restarted").Sub(killed)
		reading.Wait()
		cancel()
		v.written(draft, rd)
		calls := endpoint.Count() - before
		if took > 12*time.Second || calls > steps+1 || rd.kinds["run.restarted"] != 1 {
			t.Errorf("taken over after %v; %d calls of the model for %d steps and one kill; restarted %d times", took, calls, steps, rd.kinds["run.restarted"])
		}
		t.Logf("taken over %.1f s after kill -9, %d calls for %d steps", took.Seconds(), calls, steps)
		worker, other = other, worker
	}
}

// What one server has done with logins is known on the others.
func TestReplicasShareLogins(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := newCluster(t)
	a, b := c.replica(), c.replica()
	va, vb := c.at(a.addr), c.at(b.addr)
	var me struct{ Email string }
	if vb.ask("GET", "/auth/me", "", &me); me.Email != "owner@example.com" { // a token that A has signed
		t.Fatalf("%+v", me)
	}
	first := c.second
	c.login(vb, "/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, first))
	va.token = c.token
	va.ask("GET", "/auth/me", "", &me)
	var s struct{ ID string }
	va.ask("POST", "/sessions", `{}`, &s)
	stream, err := va.request(t.Context(), "GET", "/sessions/"+s.ID+"/events", nil, "Accept", "text/event-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	resp, err := vb.request(t.Context(), "POST", "/auth/logout", strings.NewReader(fmt.Sprintf(`{"refresh_token":%q}`, c.second)))
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	ended := time.Now()
	if said, err := io.ReadAll(stream.Body); err != nil || !strings.Contains(string(said), "event: auth.revoked") || time.Since(ended) > 5*time.Second {
		t.Errorf("a stream ends %v after the logout on another server, with %v %q", time.Since(ended), err, said)
	}
	for _, token := range []string{first, c.second} {
		resp, err := va.request(t.Context(), "POST", "/auth/refresh", strings.NewReader(fmt.Sprintf(`{"refresh_token":%q}`, token)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a refresh token that was revoked on one server is taken on the other: %s", resp.Status)
		}
	}
}

// A server is stopped, as a laptop that sleeps is, for longer than its leases hold, with all runs under way; another one takes them over. When it goes on,
// nothing that it still writes is taken: each post has one version and one text, and each step was done once (fault 19).
func TestReplicaThatWasPausedIsFenced(t *testing.T) {
	t.Parallel() // most of it is waiting
	const runs = 20
	c, endpoint := withModel(t, 40*time.Millisecond)
	paused := c.replica()
	v := c.at(paused.addr)
	docs := v.sources()
	drafts, ids := make([]string, runs), make([]string, runs)
	for i := range runs {
		drafts[i], ids[i] = v.post(docs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, id := range ids {
		v.moment(ctx, id, "token")
	}
	if err := paused.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	other := c.replica()
	v = c.at(other.addr)
	readers := make([]*reader, runs)
	var reading sync.WaitGroup
	for i, id := range ids {
		reading.Go(func() { readers[i] = v.read(ctx, id, nil) })
	}
	for _, id := range ids {
		v.moment(ctx, id, "run.restarted")
	}
	if err := paused.cmd.Process.Signal(syscall.SIGCONT); err != nil { // while all are being written elsewhere
		t.Fatal(err)
	}
	reading.Wait()
	for i, draft := range drafts {
		v.written(draft, readers[i])
		if n := readers[i].kinds["run.restarted"]; n != 1 {
			t.Errorf("restarted %d times", n)
		}
	}
	// The one that was paused serves on, and works on: it can be all there is.
	other.stop()
	v = c.at(paused.addr)
	draft, run := v.post(docs)
	v.written(draft, v.read(ctx, run, nil))
	for i, id := range ids {
		var r struct {
			LastSeq int64 `json:"last_seq"`
		}
		if v.ask("GET", "/runs/"+id, "", &r); r.LastSeq != readers[i].last {
			t.Errorf("run %d ends at %d, its reader at %d", i, r.LastSeq, readers[i].last)
		}
	}
	t.Logf("%d runs taken over from a server that was paused, %d calls of the model", runs, endpoint.Count())
}
