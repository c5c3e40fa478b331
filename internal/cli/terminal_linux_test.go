package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"byline/internal/cli"
)

// terminal is a real one: what the program writes is read at its other end.
type terminal struct {
	t       *testing.T
	user    *os.File // the end of the person
	program *os.File
	mu      sync.Mutex
	seen    bytes.Buffer
	more    chan struct{}
	done    sync.WaitGroup
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	fd := int(user.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &terminal{t: t, user: user, program: program, more: make(chan struct{}, 1)}
	c.done.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := user.Read(b)
			c.mu.Lock()
			c.seen.Write(b[:n])
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(c.close)
	return c
}

// close hangs up.
func (c *terminal) close() {
	c.program.Close()
	c.user.Close()
	c.done.Wait()
}

func (c *terminal) screen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}

// await waits until a text has been shown n times.
func (c *terminal) await(text string, n int) {
	c.t.Helper()
	for strings.Count(c.screen(), text) < n {
		select {
		case <-c.more:
		case <-c.t.Context().Done():
			c.t.Fatalf("%q is not in %q", text, c.screen())
		}
	}
}

// whisper enters a line once the terminal does not show it.
func (c *terminal) whisper(line string) {
	c.t.Helper()
	for {
		mode, err := unix.IoctlGetTermios(int(c.program.Fd()), unix.TCGETS)
		if err != nil {
			c.t.Fatal(err)
		}
		if mode.Lflag&unix.ECHO == 0 {
			break
		}
		runtime.Gosched()
	}
	c.enter(line)
}

func (c *terminal) enter(line string) {
	c.t.Helper()
	if _, err := c.user.WriteString(line + "\n"); err != nil {
		c.t.Fatal(err)
	}
}

func TestATerminalSeesThePostBeingWritten(t *testing.T) {
	s := newSession(t)
	s.write("a.md", "x")
	s.lib.docs["a.md"] = doc{looks: 2}
	s.lib.post = "# Warm\x1b[2J rooms\n"
	s.lib.log = []string{
		`{"type":"step.started","data":{"step":"write"}}`, `{"type":"token","data":{"text":"Rooms are \u001b[2Jwarm."}}`,
		`{"type":"step.started","data":{"step":"verify"}}`, `{"type":"snapshot","data":{"text":" Windows are new."}}`,
		`{"type":"run.completed","data":{"draft_id":"D1","words":30,"sentences":4,"cited":4}}`,
	}
	c := newTerminal(t)
	if code := cli.Run(t.Context(), s.program(c.program, c.program, "draft", "a.md", "-o", "-")); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	c.await("4 of 4 sentences cited", 1)
	for _, want := range []string{"taking in a.md", "Rooms are \ufffd[2Jwarm.\r\n", "checking every citation", " Windows are new.\r\n# Warm\ufffd[2J rooms\r\n"} {
		if !strings.Contains(c.screen(), want) {
			t.Errorf("no %q in %q", want, c.screen())
		}
	}
	if strings.Contains(c.screen(), "\x1b[2J") {
		t.Errorf("a source clears the screen: %q", c.screen())
	}
}

func TestATerminalAsksForThePasswordTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		again string
		code  int
		says  string
	}{
		"the same":  {"correct horse", cli.ExitOK, "ada@example.org is admin"},
		"different": {"correct house", cli.ExitFailed, "the two passwords differ"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := newSession(t), newTerminal(t)
			s.stdin = c.program
			ended := make(chan int, 1)
			go func() {
				ended <- cli.Run(t.Context(), s.program(c.program, c.program, "user", "add", "ada@example.org"))
			}()
			c.await("Password: ", 1)
			c.whisper("correct horse")
			c.await("Again: ", 1)
			c.whisper(tc.again)
			c.await(tc.says, 1)
			if code := <-ended; code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			if strings.Contains(c.screen(), "horse") || strings.Contains(c.screen(), "house") {
				t.Error("the password is on the screen")
			}
		})
	}
	t.Run("stopped", func(t *testing.T) {
		s, c := newSession(t), newTerminal(t)
		s.stdin = c.program
		before, err := unix.IoctlGetTermios(int(c.program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan int, 1)
		go func() { ended <- cli.Run(ctx, s.program(c.program, c.program, "user", "add", "ada@example.org")) }()
		c.await("Password: ", 1)
		stop()
		if code := <-ended; code != cli.ExitInterrupted {
			t.Errorf("exit %d", code)
		}
		after, err := unix.IoctlGetTermios(int(c.program.Fd()), unix.TCGETS)
		if err != nil || after.Lflag != before.Lflag {
			t.Errorf("the terminal was left without its echo: %v", err)
		}
		c.enter("ends the reading")
	})
}

func TestATerminalSeesWhatWasFoundInBold(t *testing.T) {
	s, c := newSession(t), newTerminal(t)
	s.lib.answers["POST /api/v1/documents/search"] = func(w http.ResponseWriter, _ *http.Request) bool {
		reply(w, 200, `{"results":[{"content":"The heat pump is here.","document_name":"a.md","highlights":[{"start":9,"end":13}]}]}`)
		return true
	}
	if code := cli.Run(t.Context(), s.program(c.program, c.program, "search", "pump")); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	c.await("heat \x1b[1mpump\x1b[0m is", 1)
}
