package passhash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"byline/internal/engine/priority"
)

// Subcommand is the hidden argument that makes our program a hasher.
const Subcommand = "hasher"

// request is a line to a hasher: with Encoded a check, else a hash to make.
type request struct {
	Method   Method `json:"method,omitempty"`
	Encoded  string `json:"encoded,omitempty"`
	Password string `json:"password"`
}

// answer is the line that comes back.
type answer struct {
	Encoded string `json:"encoded,omitempty"`
	Fits    bool   `json:"fits,omitempty"`
	Damaged bool   `json:"damaged,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Child is the life of a hasher: it answers requests line by line until its input ends, and gives the exit code.
func Child(in io.Reader, out io.Writer) int {
	priority.Lower()
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		err := requests.Decode(&q)
		if errors.Is(err, io.EOF) {
			return 0
		}
		if err == nil {
			err = answers.Encode(q.do())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "hasher: this command is started by byline itself, not by hand:", err)
			return 1
		}
	}
}

func (q request) do() answer {
	var a answer
	var err error
	if q.Encoded != "" {
		a.Fits, err = Check(q.Encoded, q.Password)
	} else {
		a.Encoded, err = Hash(q.Method, q.Password)
	}
	switch {
	case errors.Is(err, ErrDamaged):
		a.Damaged = true
	case err != nil:
		a.Error = err.Error()
	}
	return a
}
