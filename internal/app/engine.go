package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"byline/internal/config"
	"byline/internal/driver/chroma"
	"byline/internal/driver/elastic"
	"byline/internal/ops"
	"byline/internal/search"
)

// engines gives the search engines that are configured, the preferred one first. Nothing is connected yet. installation is
// the library's name: engines may be shared with others.
func engines(cfg config.Search, installation string) (list []search.Named, err error) {
	prefix := "b" + strings.ToLower(installation[max(0, len(installation)-8):])
	if cfg.ElasticsearchURL != "" {
		e, err := elastic.Open(elastic.Options{URLs: cfg.ElasticsearchURL, APIKey: cfg.ElasticsearchKey, CAFile: cfg.ElasticsearchCA, Prefix: prefix})
		if err != nil {
			return nil, err
		}
		list = append(list, search.Named{Name: "elasticsearch", Engine: e})
	}
	if cfg.ChromaURL != "" {
		e, err := chroma.New(cfg.ChromaURL, chroma.Options{Prefix: prefix})
		if err != nil {
			return nil, err
		}
		list = append(list, search.Named{Name: "chroma", Engine: e, VectorsOnly: true})
	}
	return list, nil
}

func closeEngines(list []search.Named) (err error) {
	for _, e := range list {
		err = errors.Join(err, e.Engine.Close())
	}
	return err
}

// engineProbes tell how the engines are, from what the router knows anyway.
func engineProbes(r *search.Router) (probes []ops.Probe) {
	for _, s := range r.Status() {
		name := s.Name
		if name == search.EmbeddedName {
			name = "search"
		}
		probes = append(probes, ops.Probe{Name: name, Ask: func(context.Context) (string, error) { return engineDetail(r, s.Name) }})
	}
	return probes
}

func engineDetail(r *search.Router, name string) (string, error) {
	for _, s := range r.Status() {
		if s.Name != name {
			continue
		}
		detail := string(s.State)
		if s.Queue > 0 {
			detail += fmt.Sprintf(", %d documents wait", s.Queue)
		}
		if s.Dead > 0 {
			detail += fmt.Sprintf(", %d documents were refused", s.Dead)
		}
		if s.State == search.EngineDegraded {
			return "", fmt.Errorf("%s since %s; other engines answer meanwhile", s.Error, s.Since.UTC().Format("2006-01-02 15:04:05 MST"))
		}
		return detail, nil
	}
	return "", nil
}
