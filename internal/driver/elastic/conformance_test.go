package elastic_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"byline/internal/driver/elastic"
	"byline/internal/search"
	"byline/internal/search/searchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs on the fake, and on the real server of each kind that is there.
func TestConformance(t *testing.T) {
	for _, opensearch := range []bool{false, true} {
		t.Run(fmt.Sprintf("fake, OpenSearch %t", opensearch), func(t *testing.T) {
			searchtest.Run(t, searchtest.Subject{Open: func(t *testing.T) search.Engine {
				f := newFake()
				f.opensearch = opensearch
				return faked(t, f, elastic.Options{})
			}})
		})
	}
	for _, server := range []struct{ variable, kind string }{
		{"TEST_ELASTICSEARCH_URL", "elasticsearch"},
		{"TEST_OPENSEARCH_URL", "opensearch"},
	} {
		t.Run(server.kind, func(t *testing.T) {
			url := searchtest.Server(t, server.variable, server.kind)
			searchtest.Run(t, searchtest.Subject{Open: func(t *testing.T) search.Engine {
				e := opened(t, elastic.Options{URLs: url, CAFile: os.Getenv("TEST_ELASTICSEARCH_CA"), Prefix: searchtest.Fresh()})
				t.Cleanup(func() { searchtest.Clear(t, e) })
				return e
			}})
		})
	}
}

// faked gives an engine on a fake server.
func faked(t *testing.T, f *fake, o elastic.Options) *elastic.Engine {
	t.Helper()
	o.URLs = "http://elasticsearch.invalid:9200"
	e := opened(t, o)
	e.Through(f)
	return e
}

func opened(t *testing.T, o elastic.Options) *elastic.Engine {
	t.Helper()
	e, err := elastic.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}
