package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"byline/bench/internal/proc"
)

// endpoint is a model's service in a process of its own: it answers questions for JSON with a plan or with nothing to correct, and all
// others with words at a steady rate. Its CPU is not counted.
func endpoint() {
	tokens, _ := strconv.Atoi(os.Getenv("BENCH_TOKENS"))
	rate, _ := strconv.Atoi(os.Getenv("BENCH_RATE"))
	l, err := net.Listen("tcp", endpointAddress)
	proc.Check(err)
	go func() { // ends with who started it
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		proc.Check(err)
		go func() {
			defer c.Close()
			for r := bufio.NewReader(c); answer(c, r, tokens, rate, os.Getenv("BENCH_STAMPS") != ""); {
			}
		}()
	}
}

const endpointAddress = "127.0.0.1:18041"

// startEndpoint starts one, and gives how to end it.
func startEndpoint(tokens int, stamps bool) (stop func()) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BENCH_ENDPOINT=1", "BENCH_TOKENS="+strconv.Itoa(tokens), "BENCH_RATE="+strconv.Itoa(*rate))
	if stamps {
		cmd.Env = append(cmd.Env, "BENCH_STAMPS=1")
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	proc.Check(err)
	proc.Check(cmd.Start())
	proc.Wait("http://" + endpointAddress + "/v1/models")
	return func() {
		in.Close()
		cmd.Wait()
	}
}

// thinking is how long a model takes to its first word.
const thinking = 150 * time.Millisecond

// answer takes one request; false ends the connection.
func answer(c net.Conn, r *bufio.Reader, tokens, rate int, stamps bool) bool {
	q, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return false
	}
	if q.Method == http.MethodGet {
		const list = `{"object":"list","data":[{"id":"steady","object":"model"}]}`
		_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(list), list)
		return err == nil
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
		return false
	}
	var out bytes.Buffer
	end := func() bool {
		out.Reset()
		chunked(&out, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"steady","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n")
		chunked(&out, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"steady","choices":[],"usage":{"prompt_tokens":900,"completion_tokens":`+strconv.Itoa(tokens)+`,"total_tokens":900}}`+"\n\ndata: [DONE]\n\n")
		out.WriteString("0\r\n\r\n")
		_, err := c.Write(out.Bytes())
		return err == nil
	}
	if bytes.Contains(body, []byte(`"response_format"`)) {
		text := `{"sentences":[]}`
		if bytes.Contains(body, []byte("You plan a blog post")) {
			text = `{"title":"The tide mill of Eling","summary":"The mill grinds with the sea.","tags":["mill","tide"],"sections":[{"title":"The tide mill and its wheel","about":"The mill, its pond, its wheel and the tide","share":1}]}`
		}
		chunk(&out, text)
		if _, err := c.Write(out.Bytes()); err != nil {
			return false
		}
		return end()
	}
	words := strings.Fields(section)
	time.Sleep(thinking)
	due := time.Now()
	for i := range tokens {
		word := words[i%len(words)]
		if i > 0 {
			word = " " + word
		}
		if stamps {
			word = fmt.Sprintf("T%d ", time.Now().UnixNano())
		}
		out.Reset()
		chunk(&out, word)
		if _, err := c.Write(out.Bytes()); err != nil {
			return false
		}
		due = due.Add(time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
	}
	return end()
}

// chunk adds an event with a piece of text, as providers write them.
func chunk(out *bytes.Buffer, text string) {
	said, _ := json.Marshal(text)
	chunked(out, `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"steady","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"delta":{"content":`+
		string(said)+`},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n")
}

func chunked(out *bytes.Buffer, s string) { fmt.Fprintf(out, "%x\r\n%s\r\n", len(s), s) }

// source is the document that posts are written from; section is what the model writes of it.
var facts = []string{
	"The tide mill of Eling grinds wheat with the sea", "Its pond holds the water of the rising tide behind a causeway", "The wheel turns for about five hours on each ebb",
	"A miller has worked at this place since the eleventh century", "Two wheels drive a pair of stones each", "The gates of the pond close by the weight of the water",
	"Flour from the mill is sold in the village", "The wooden gear has teeth of apple wood",
}

var (
	source  = "# The tide mill of Eling\n\n" + strings.Join(facts, ". ") + ".\n"
	section = strings.Join(facts, " [p1]. ") + " [p1]."
	visible = 1 - float64(len(facts))/float64(len(strings.Fields(section))) // marks are tokens, too
)
