package webpage

// For tests.
var (
	Public      = public
	ParseRobots = parseRobots
	Filename    = filename
)

// Allows is for tests.
func (r robots) Allows(path string) bool { return r.allows(path) }

// Parse is for tests: an address in its canonical form, and its host.
func (f *Fetcher) Parse(raw string) (canonical, host string, err error) {
	t, err := f.parse(raw)
	if err != nil {
		return "", "", err
	}
	return t.url.String(), t.host, nil
}
