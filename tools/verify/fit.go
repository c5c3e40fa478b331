package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"byline/internal/engine/cite"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
)

// example is a claim of Wikipedia with the page that it cites.
type example struct {
	Label    string   `json:"label"`
	Claim    string   `json:"claim"`
	Evidence []string `json:"evidence"`
}

func read(path string) (list []example, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e example
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, lines.Err()
}

// The recipe: rounds of cross-validation, folds of each, weight of the penalty.
const (
	rounds  = 20
	folds   = 10
	penalty = 2.0
)

func fit(root, path string, cosine, write bool) error {
	list, err := read(path)
	if err != nil {
		return err
	}
	var similar func(string, []string) []float64
	if cosine {
		e, err := encoder.Builtin()
		if err != nil {
			return err
		}
		similar = func(claim string, sentences []string) []float64 { return cosines(e, claim, sentences) }
	}
	var x [][]float64
	var y []bool
	var simple []float64
	for _, e := range list {
		v := cite.Verify(e.Claim, passages(e.Evidence), cite.Options{Similar: similar})
		f := v.Features
		x, y = append(x, f.Vector(cosine)), append(y, e.Label == "supported")
		simple = append(simple, (f.Coverage+2*f.Numbers+f.Names)/4)
	}
	fmt.Printf("%d claims; AUROC of (coverage + 2*numbers + names)/4: %.3f\n", len(y), auroc(simple, y))
	for k := range x[0] {
		column := make([]float64, len(x))
		for i := range x {
			column[i] = x[i][k]
		}
		fmt.Printf("  feature %2d alone: %.3f\n", k, auroc(column, y))
	}
	var areas []float64
	for round := range rounds {
		areas = append(areas, crossValidate(x, y, uint64(round)))
	}
	mean, spread := stats(areas)
	weights := logistic(x, y)
	fitted := make([]float64, len(x))
	for i := range x {
		fitted[i] = dot(weights, x[i])
	}
	fmt.Printf("AUROC cross-validated (%d x %d folds): %.3f, standard deviation of rounds %.3f; on what it was fitted to %.3f\n", rounds, folds, mean, spread, auroc(fitted, y))
	fmt.Printf("weights %.2f\n", weights)
	if !write {
		return nil
	}
	return save(filepath.Join(root, "internal/engine/cite/fitted.go"), weights, cosine)
}

// long is about how many bytes a passage has that ingest cuts.
const long = 1000

// passages joins the sentences of a page, as a document would have them.
func passages(sentences []string) []string {
	var all []string
	for _, s := range sentences {
		if n := len(all) - 1; n >= 0 && len(all[n])+len(s) < long {
			all[n] += "\n\n" + s
		} else {
			all = append(all, s)
		}
	}
	return all
}

func cosines(e *encoder.Encoder, claim string, sentences []string) []float64 {
	ctx := context.Background()
	all, err := e.Passages(ctx, append([]string{claim}, sentences...))
	if err != nil {
		return nil
	}
	var list []float64
	for _, v := range all[1:] {
		list = append(list, product(all[0], v))
	}
	return list
}

func product(a, b embed.Vector) (sum float64) {
	for i := range a.Values {
		sum += float64(a.Values[i]) * float64(b.Values[i])
	}
	return sum
}

// crossValidate scores each claim by weights that were fitted without it, in folds that hold both classes alike.
func crossValidate(x [][]float64, y []bool, seed uint64) float64 {
	random := rand.New(rand.NewPCG(seed, 5))
	fold := make([]int, len(y))
	for _, class := range []bool{true, false} {
		k := random.IntN(folds)
		for _, i := range random.Perm(len(y)) {
			if y[i] == class {
				fold[i] = k % folds
				k++
			}
		}
	}
	scores := make([]float64, len(y))
	for k := range folds {
		var trainX [][]float64
		var trainY []bool
		for i := range y {
			if fold[i] != k {
				trainX, trainY = append(trainX, x[i]), append(trainY, y[i])
			}
		}
		w := logistic(trainX, trainY)
		for i := range y {
			if fold[i] == k {
				scores[i] = dot(w, x[i])
			}
		}
	}
	return auroc(scores, y)
}

func dot(w, x []float64) float64 {
	z := w[0]
	for i, v := range x {
		z += w[i+1] * v
	}
	return z
}

// logistic fits by Newton's method with a quadratic penalty on features of unit variance. Classes weigh alike, so that a
// score of one half means: neither is likelier.
func logistic(x [][]float64, y []bool) []float64 {
	n, d := len(x), len(x[0])
	mean, scale := make([]float64, d), make([]float64, d)
	for k := range d {
		column := make([]float64, n)
		for i := range x {
			column[i] = x[i][k]
		}
		mean[k], scale[k] = stats(column)
		if scale[k] < 1e-9 {
			scale[k] = 1
		}
	}
	positive := 0
	for _, v := range y {
		if v {
			positive++
		}
	}
	w := make([]float64, d+1)
	row := make([]float64, d+1)
	for range 30 {
		gradient, hessian := make([]float64, d+1), make([][]float64, d+1)
		for k := range hessian {
			hessian[k] = make([]float64, d+1)
			if k > 0 {
				gradient[k], hessian[k][k] = -penalty*w[k], penalty
			} else {
				hessian[k][k] = 1e-9
			}
		}
		for i := range x {
			row[0] = 1
			z := w[0]
			for k := range d {
				row[k+1] = (x[i][k] - mean[k]) / scale[k]
				z += w[k+1] * row[k+1]
			}
			p := 1 / (1 + math.Exp(-z))
			target, weight := 0.0, float64(n)/2/float64(n-positive)
			if y[i] {
				target, weight = 1, float64(n)/2/float64(positive)
			}
			for a := range row {
				gradient[a] += weight * (target - p) * row[a]
				for b := range row {
					hessian[a][b] += weight * p * (1 - p) * row[a] * row[b]
				}
			}
		}
		for k, s := range solve(hessian, gradient) {
			w[k] += s
		}
	}
	for k := range d {
		w[k+1] /= scale[k]
		w[0] -= w[k+1] * mean[k]
	}
	return w
}

// solve is Gauss' elimination with pivots.
func solve(a [][]float64, b []float64) []float64 {
	n := len(b)
	for i := range n {
		p := i
		for k := i + 1; k < n; k++ {
			if math.Abs(a[k][i]) > math.Abs(a[p][i]) {
				p = k
			}
		}
		a[i], a[p], b[i], b[p] = a[p], a[i], b[p], b[i]
		for k := i + 1; k < n; k++ {
			f := a[k][i] / a[i][i]
			for c := i; c < n; c++ {
				a[k][c] -= f * a[i][c]
			}
			b[k] -= f * b[i]
		}
	}
	for i := n - 1; i >= 0; i-- {
		for c := i + 1; c < n; c++ {
			b[i] -= a[i][c] * b[c]
		}
		b[i] /= a[i][i]
	}
	return b
}

func stats(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		deviation += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(deviation)
}

// auroc is how often a supported claim scores above another one; a tie is half.
func auroc(scores []float64, y []bool) float64 {
	won, pairs := 0.0, 0.0
	for i, a := range scores {
		for k, b := range scores {
			if !y[i] || y[k] {
				continue
			}
			pairs++
			if a > b {
				won++
			} else if a == b {
				won += .5
			}
		}
	}
	return won / pairs
}

func save(path string, weights []float64, cosine bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	name := "withoutCosine"
	if cosine {
		name = "withCosine"
	}
	var list []string
	for _, w := range weights {
		list = append(list, fmt.Sprintf("%.3f", w))
	}
	lines := strings.Split(string(data), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), name) })
	if i < 0 {
		return fmt.Errorf("%s has no %s", path, name)
	}
	lines[i] = lines[i][:strings.Index(lines[i], "{")] + "{" + strings.Join(list, ", ") + "}"
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}
