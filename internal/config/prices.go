package config

import (
	_ "embed"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"byline/internal/fault"
)

// PricesFileName is the file of the data directory with what models cost.
const PricesFileName = "prices.toml"

// Price is of a million tokens.
type Price struct {
	Input  float64
	Cached *float64 // nil: as Input
	Output float64
}

// Prices is what models cost. Keys are "provider/model", "model" or "provider/*", in lower case.
type Prices struct {
	Currency string
	Models   map[string]Price
}

// firstPrices is what the file says when it is made.
//
//go:embed prices.toml
var firstPrices []byte

// MakePrices writes the file of a data directory if it is not there, and gives its path.
func MakePrices(dataDir string) (string, error) {
	path := filepath.Join(dataDir, PricesFileName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path, nil
	}
	if err == nil {
		_, err = f.Write(firstPrices)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return "", fault.New(fault.Internal, "prices", "The price table %s cannot be made: %s. Make the directory writable, or name a file with BYLINE_PRICES.", path, reason(err)).Because(err)
	}
	return path, nil
}

var currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)

// LoadPrices reads a price table.
func LoadPrices(path string) (Prices, error) {
	bad := func(text string, cause error) (Prices, error) {
		return Prices{}, fault.New(fault.Invalid, "prices", "The price table %s cannot be used: %s.", path, text).Because(cause)
	}
	data, err := readSmall(path)
	if err != nil {
		return bad(reason(err), err)
	}
	var file struct {
		Currency string
		Models   map[string]struct {
			Input, Cached, Output *float64
		}
	}
	meta, err := toml.Decode(string(data), &file)
	if err != nil {
		return bad("it is not TOML, or a price is not a number", err)
	}
	if odd := meta.Undecoded(); len(odd) > 0 {
		return bad(odd[0].String()+" is not known; use currency, and input, cached and output of models", nil)
	}
	if !currencyPattern.MatchString(file.Currency) {
		return bad(`currency must be three capital letters such as "USD"`, nil)
	}
	p := Prices{Currency: file.Currency, Models: map[string]Price{}}
	for name, m := range file.Models {
		values := []*float64{m.Input, m.Output}
		if m.Cached != nil {
			values = append(values, m.Cached)
		}
		if slices.ContainsFunc(values, func(v *float64) bool { return v == nil || *v < 0 || math.IsNaN(*v) || math.IsInf(*v, 0) }) {
			return bad("models."+name+" needs input and output as numbers from 0 on", nil)
		}
		p.Models[strings.ToLower(name)] = Price{*m.Input, m.Cached, *m.Output}
	}
	return p, nil
}
