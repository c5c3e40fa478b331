package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"byline/internal/engine/pdf/pdftest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"byline": main})
}

// The stories of testdata/script are told to the real program, each in an empty directory with an empty HOME. Beside the
// usual commands there are:
//
//	exits CODE program args...         run it and want this exit code
//	serving DIR                        wait for the server that holds a data directory
//	terminate                          send it SIGTERM
//	request METHOD PATH STATUS [FILE]  ask that server as the local user and want this status; stdout is the answer
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	compiled := pdftest.Warm(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir+"/home")
			e.Setenv("EXAMPLES", examples)
			e.Setenv("COMPILED", compiled)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"serving":   serving,
			"terminate": terminate,
			"request":   request,
		},
		RequireExplicitExec: true,
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serving DIR")
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var at struct {
			URL, Token string
			PID        int
		}
		data, err := os.ReadFile(ts.MkAbs(args[0] + "/serve.json"))
		if err == nil {
			err = json.Unmarshal(data, &at)
		}
		if err == nil {
			err = ready(at.URL)
		}
		if err == nil {
			ts.Setenv("URL", at.URL)
			ts.Setenv("TOKEN", at.Token)
			ts.Setenv("PID", strconv.Itoa(at.PID))
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no server: %v", err)
		}
	}
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: terminate")
	}
	pid, err := strconv.Atoi(ts.Getenv("PID"))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}

func ready(url string) error {
	resp, err := http.Get(url + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz: %s", resp.Status)
	}
	return nil
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: request METHOD PATH STATUS [FILE]")
	}
	var body io.Reader
	if len(args) == 4 {
		body = strings.NewReader(ts.ReadFile(args[3]))
	}
	req, err := http.NewRequest(args[0], ts.Getenv("URL")+args[1], body)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+ts.Getenv("TOKEN"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if want := args[2]; strconv.Itoa(resp.StatusCode) != want {
		ts.Fatalf("%s %s: %s, want %s", args[0], args[1], resp.Status, want)
	}
}
