package pdftest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// CompileInto names the variable that makes the test binary of engine/pdf compile the engine into a directory, and do nothing else.
const CompileInto = "TEST_COMPILE_INTO"

// Warm is Compiled for a test.
func Warm(t testing.TB) string {
	t.Helper()
	dir, err := Compiled()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Compiled gives a cache directory with the compiled engine in it. Under the race detector compiling takes minutes, so a program
// without it does that, once on a machine for each version of the engine.
var Compiled = sync.OnceValues(func() (string, error) {
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Path}}@{{.Version}}", "github.com/tetratelabs/wazero", "github.com/klippa-app/go-pdfium").Output()
	if err != nil {
		return "", fmt.Errorf("ask for the engine's version: %w", err)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "byline-test", strings.NewReplacer("/", "_", "\n", "+").Replace(strings.TrimSpace(string(version))), "cache")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "new-*") // beside it, so that the last step is a rename
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	// A test binary: the engine knows its own version only in others, and does not take what another version compiled.
	for _, args := range [][]string{{"go", "test", "-c", "-o", work + "/compiler", "byline/internal/engine/pdf"}, {work + "/compiler"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", CompileInto+"="+work+"/cache")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	if err := os.Rename(work+"/cache", dir); err != nil && !os.IsExist(err) {
		if _, gone := os.Stat(dir); gone != nil { // nobody else was faster
			return "", err
		}
	}
	return dir, nil
})
