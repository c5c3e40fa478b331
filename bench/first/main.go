// Command first measures how long a newcomer waits for the first post: `make run` in a fresh clone with an empty HOME, of which
// only Go's modules are there already.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"byline/bench/internal/proc"
)

var source = flag.String("repository", "..", "what is cloned: its last commit is measured")

func main() {
	flag.Parse()
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	clone, home := filepath.Join(dir, "clone"), filepath.Join(dir, "home")
	proc.Check(exec.Command("git", "clone", "--quiet", *source, clone).Run())
	proc.Check(os.Mkdir(home, 0o700))
	cmd := exec.Command("make", "run")
	cmd.Dir = clone
	cmd.Env = append(environ(), "HOME="+home, "BYLINE_LISTEN=127.0.0.1:18030")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // make's children are ended with it
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	proc.Check(err)
	began := time.Now()
	var built time.Time
	proc.Check(cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "bin/byline draft"):
			built = time.Now()
		case strings.HasSuffix(line, " cited") && !built.IsZero():
			fmt.Printf("first post %.1f s after the build, which took %.0f s (load %s):\n%s\n", time.Since(built).Seconds(), built.Sub(began).Seconds(), proc.Load(), line)
			proc.Check(syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM))
			cmd.Wait()
			return
		}
	}
	log.Fatalf("make run ended without a post: %v", cmd.Wait())
}

// environ is what a newcomer's shell has, and where Go's modules are.
func environ() (keep []string) {
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY", "GONOSUMDB", "GOFLAGS").Output()
	proc.Check(err)
	values := strings.Split(string(out), "\n")
	for i, name := range []string{"GOMODCACHE", "GOPROXY", "GONOSUMDB", "GOFLAGS"} {
		keep = append(keep, name+"="+values[i])
	}
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "PATH=") || strings.HasPrefix(strings.ToLower(e), "npm_config_") {
			keep = append(keep, e)
		}
	}
	return keep
}
