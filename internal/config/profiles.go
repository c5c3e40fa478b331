package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/BurntSushi/toml"

	"byline/internal/fault"
)

// ProfilesFileName is the file of the data directory with profiles beside those built in. It is read at the start.
const ProfilesFileName = "profiles.toml"

// Profile is a model and a voice that sessions can choose.
type Profile struct {
	Name        string
	Title       string
	Description string
	Provider    string `toml:"llm_provider"`
	Model       string `toml:"llm_model"`
	Persona     string
	Language    string
	Tone        string
	Audience    string
	Words       int
	Web         bool
}

var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,49}$`)

// maxPersona is how long a persona may be, in bytes: it goes with every question.
const maxPersona = 8000

// LoadProfiles reads the profiles of a data directory; without the file there are none.
func LoadProfiles(dataDir string) ([]Profile, error) {
	path := filepath.Join(dataDir, ProfilesFileName)
	bad := func(text string, cause error) ([]Profile, error) {
		return nil, fault.New(fault.Invalid, "profiles", "The profiles of %s cannot be used: %s.", path, text).Because(cause)
	}
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return bad(reason(err), err)
	}
	var file struct{ Profile []Profile }
	meta, err := toml.Decode(string(data), &file)
	if err != nil {
		return bad("it is not TOML, or a value has not the right form", err)
	}
	if odd := meta.Undecoded(); len(odd) > 0 {
		return bad(odd[0].String()+" is not known; a [[profile]] has name, title, description, llm_provider, llm_model, persona, language, tone, audience, words and web", nil)
	}
	for i, p := range file.Profile {
		switch {
		case !profileName.MatchString(p.Name):
			return bad("a profile's name has small letters, digits and hyphens, such as press-officer; not "+`"`+p.Name+`"`, nil)
		case slices.ContainsFunc(file.Profile[:i], func(other Profile) bool { return other.Name == p.Name }):
			return bad("there are two profiles "+p.Name, nil)
		case p.Persona == "" || len(p.Persona) > maxPersona:
			return bad("profile "+p.Name+" needs a persona: what the model is told first, in at most 8000 bytes", nil)
		case p.Words < 0 || p.Words > 20000:
			return bad("the words of profile "+p.Name+" are a number up to 20000", nil)
		}
		if p.Title == "" {
			file.Profile[i].Title = p.Name
		}
	}
	return file.Profile, nil
}
