package elastic_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"byline/internal/driver/elastic"
	"byline/internal/search"
	"byline/internal/search/searchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs on the real server of each kind that is there.
func TestConformance(t *testing.T) {
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

func opened(t *testing.T, o elastic.Options) *elastic.Engine {
	t.Helper()
	e, err := elastic.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}
