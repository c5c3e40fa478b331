package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// export fetches the post as a file and saves it.
func (d *drafting) export(ctx context.Context, id string) (path string, err error) {
	body, err := json.Marshal(map[string]string{"format": d.format, "citations": d.cite, "preset": d.preset})
	if err != nil {
		return "", err
	}
	resp, err := d.cl.send(ctx, "POST", "/api/v1/blog/"+id+"/export", strings.NewReader(string(body)), http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read post: %w", err)
	}
	if d.out == "-" {
		d.ui.end()
		if isTerminal(d.Stdout) {
			data = []byte(clean(string(data)))
		}
		_, err = d.Stdout.Write(data)
		return "-", err
	}
	path = target(d.out, downloadName(resp.Header.Get("Content-Disposition")))
	if err := save(path, data); err != nil {
		return "", fmt.Errorf("save post: %w", err)
	}
	return path, nil
}

// target is where a post goes: what was asked for, a folder of that name with the post's own name in it, or its own name
// here, with a number when that is taken: only a name that was given is overwritten.
func target(out, name string) string {
	if out == "" {
		ext := filepath.Ext(name)
		path := name
		for n := 2; exists(path); n++ {
			path = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
		}
		return path
	}
	if info, err := os.Stat(out); strings.HasSuffix(out, string(filepath.Separator)) || err == nil && info.IsDir() {
		return filepath.Join(out, name)
	}
	return out
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// save writes a file whole or not at all. What is no file, such as /dev/null, is written to.
func save(path string, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, data, 0o644)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), ".byline-"+rand.Text()[:8])
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer os.Remove(tmp) //nolint:errcheck // it has gone when all went well
	_, err = f.Write(data)
	if err = firstError(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// downloadName takes the file name of a Content-Disposition; it is ours, and still only its last part is used.
func downloadName(header string) string {
	_, params, err := mime.ParseMediaType(header)
	name := filepath.Base(params["filename"])
	if err != nil || strings.Trim(name, "."+string(filepath.Separator)) == "" {
		return "post.md"
	}
	return name
}
