package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readable are the endings that a folder is searched for; files that are named are tried whatever they are called.
var readable = []string{".pdf", ".html", ".htm", ".md", ".markdown", ".txt", ".text"}

// isAddress tells whether a source is a page of the web.
func isAddress(source string) bool {
	scheme, _, ok := strings.Cut(source, "://")
	return ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// expand turns files, folders and globs into files, in order and each once; addresses of pages stay what they are. What is in a folder but cannot be read comes
// back with the reason; what was named and is not there is an error.
func expand(args []string) (paths []string, skipped []unused, err error) {
	add := func(p string) {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	for _, arg := range args {
		if isAddress(arg) {
			add(arg)
			continue
		}
		matches := []string{arg}
		if _, err := os.Stat(arg); err != nil {
			if matches, err = filepath.Glob(arg); err != nil || len(matches) == 0 {
				return nil, nil, usage("there is no file, folder or match for %q", arg)
			}
		}
		for _, m := range matches {
			info, err := os.Stat(m)
			if err != nil {
				return nil, nil, err
			}
			if !info.IsDir() {
				add(m)
				continue
			}
			err = filepath.WalkDir(m, func(p string, e fs.DirEntry, err error) error {
				hidden := p != m && strings.HasPrefix(e.Name(), ".")
				switch {
				case err != nil:
					return err
				case e.IsDir() && hidden:
					return filepath.SkipDir
				case e.IsDir() || hidden || !e.Type().IsRegular():
				case slices.Contains(readable, strings.ToLower(filepath.Ext(p))):
					add(p)
				default:
					skipped = append(skipped, unused{p, "This kind of file cannot be read by this version (it reads " + strings.Join(readable, ", ") + ")."})
				}
				return nil
			})
			if err != nil {
				return nil, nil, fmt.Errorf("look through %s: %w", m, err)
			}
		}
	}
	return paths, skipped, nil
}
