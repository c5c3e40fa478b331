package pdftest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

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
	for _, args := range [][]string{{"go", "build", "-o", work + "/byline", "byline/cmd/byline"}, {work + "/byline", "warm", "--data", work + "/data"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOCOVERDIR="+work)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	if err := alias(work + "/data/cache"); err != nil {
		return "", err
	}
	if err := os.Rename(work+"/data/cache", dir); err != nil && !os.IsExist(err) {
		if _, gone := os.Stat(dir); gone != nil { // nobody else was faster
			return "", err
		}
	}
	return dir, nil
})

// alias lets test binaries find what a program compiled: the engine names its directory after its version, which
// test binaries do not know.
func alias(cache string) error {
	found, err := filepath.Glob(cache + "/wazero-v*")
	if err != nil || len(found) != 1 {
		return fmt.Errorf("compiled engine: found %v: %w", found, err)
	}
	return os.Symlink(filepath.Base(found[0]), fmt.Sprintf("%s/wazero-dev-%s-%s", cache, runtime.GOARCH, runtime.GOOS))
}
