package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"byline/bench/internal/library"
	"byline/bench/internal/proc"
	"byline/internal/engine/lexical"
	"byline/internal/ident"
	"byline/internal/search"
)

// elasticsearch asks byline and an Elasticsearch, which scripts/elasticsearch.sh starts, the same questions of words over
// HTTP, in turns. It holds the same terms of the same passages, made by byline, and gives the texts of the five best.
func elasticsearch() {
	dir, done := folder("100000")
	defer done()
	l := built(dir, 100_000)
	own, err := os.MkdirTemp("", "byline-bench-es-*")
	proc.Check(err)
	defer os.RemoveAll(own)
	proc.Check(os.Chmod(own, 0o755)) // it runs as somebody who is not root
	os.Setenv("ESTEST_DIR", filepath.Join(own, "es"))
	script("install")
	url := script("start")
	defer script("stop")
	var pid int
	data, err := os.ReadFile(filepath.Join(own, "es", "pid"))
	proc.Check(err)
	fmt.Sscan(string(data), &pid)
	theirs := proc.Of(url, pid)
	began := theirs.CPU()
	feed(url, filepath.Join(dir, "data"))
	fed := theirs.CPU() - began
	ours := proc.Start(*binary, dir, "18020", "BYLINE_LIMITS=off", fmt.Sprintf("BYLINE_SEARCH_MEMORY=%dMiB", *memory))
	defer ours.Stop()
	if l.opened {
		ours.Login()
	} else {
		ours.Register()
	}
	var took [2][]time.Duration
	var used [2]time.Duration
	for round := range 6 { // the first brings the segments, and lets Java compile
		r := rand.New(rand.NewPCG(uint64(round), 3))
		list := make([]string, *questions)
		for i := range list {
			list[i] = question(r)
		}
		for which, ask := range []func(string){
			func(q string) {
				body, err := json.Marshal(map[string]any{"query": q, "mode": "lexical"})
				proc.Check(err)
				ours.Call("POST", "/api/v1/documents/search", string(body))
			},
			func(q string) { find(url, q) },
		} {
			before := proc.Own() + ours.CPU() + theirs.CPU()
			for _, q := range list {
				began := time.Now()
				ask(q)
				if round > 0 {
					took[which] = append(took[which], time.Since(began))
				}
			}
			if round > 0 {
				used[which] += proc.Own() + ours.CPU() + theirs.CPU() - before
			}
		}
	}
	_, rss := ours.RSS()
	_, javaRSS := theirs.RSS()
	fmt.Printf("%d passages, %d questions of words over HTTP, load %s; Elasticsearch was filled in %.0f s CPU\n\n", l.Held, len(took[0]), proc.Load(), fed.Seconds())
	fmt.Println("| | p50 | p99 | CPU a question, client included | resident |\n|---|---|---|---|---|")
	for i, name := range []string{"byline", "Elasticsearch 8"} {
		slices.Sort(took[i])
		fmt.Printf("| %s | %.2f ms | %.2f ms | %.2f ms | %.0f MB |\n", name, ms(took[i][len(took[i])/2]), ms(took[i][len(took[i])*99/100]),
			ms(used[i]/time.Duration(len(took[i]))), []float64{rss, javaRSS}[i])
	}
}

func script(what string) string {
	c := exec.Command("../scripts/elasticsearch.sh", what)
	c.Stderr = os.Stderr
	out, err := c.Output()
	proc.Check(err)
	return strings.TrimSpace(string(out))
}

func feed(url, data string) {
	send(http.MethodPut, url+"/bench", "application/json", []byte(`{"settings":{"number_of_shards":1,"number_of_replicas":0,"refresh_interval":"-1"},
		"mappings":{"properties":{"terms":{"type":"text","analyzer":"whitespace"},"text":{"type":"text","index":false}}}}`))
	l := library.Open(data, library.Vectors())
	defer l.Close()
	ctx := context.Background()
	ids, err := l.Store.Admitted(ctx, ident.Local, nil, search.Filters{})
	proc.Check(err)
	for part := range slices.Chunk(ids, 20) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		for _, id := range part {
			list, _, err := l.Store.Passages(ctx, ident.Local, id, 0, 1<<30)
			proc.Check(err)
			for _, p := range list {
				var terms []string
				for _, text := range append([]string{p.Text}, p.HeadingPath...) {
					for _, t := range lexical.Analyze(text, p.Language) {
						terms = append(terms, t.Term)
					}
				}
				proc.Check(e.Encode(map[string]any{"index": map[string]any{"_id": p.ID}}))
				proc.Check(e.Encode(map[string]any{"terms": strings.Join(terms, " "), "text": p.Text}))
			}
		}
		send(http.MethodPost, url+"/bench/_bulk", "application/x-ndjson", b.Bytes())
	}
	send(http.MethodPost, url+"/bench/_forcemerge?max_num_segments=1", "application/json", nil)
	send(http.MethodPost, url+"/bench/_refresh", "application/json", nil)
}

func find(url, question string) {
	var terms []string
	for _, t := range lexical.Query(question, "en") {
		terms = append(terms, t.Text)
	}
	body, err := json.Marshal(map[string]any{"size": 5, "_source": []string{"text"}, "query": map[string]any{"match": map[string]any{"terms": strings.Join(terms, " ")}}})
	proc.Check(err)
	send(http.MethodPost, url+"/bench/_search", "application/json", body)
}

func send(method, url, kind string, body []byte) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	proc.Check(err)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	proc.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	proc.Check(err)
	if resp.StatusCode >= 300 || bytes.Contains(answer[:min(len(answer), 200)], []byte(`"errors":true`)) {
		proc.Check(fmt.Errorf("%s %s: %s %.500s", method, url, resp.Status, answer))
	}
}
