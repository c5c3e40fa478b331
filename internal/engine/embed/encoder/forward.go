package encoder

import "math"

// scratch holds one worker's buffers.
type scratch struct {
	kernel
	rows                           int // that the buffers are made for
	x, res, qkv, ctx, h, kt, score []float32
	xq, hq                         []uint8
	rq                             [][2]float32 // scale and least value of each row of codes
	ones, zeros, mask, inv         []float32
}

const (
	padding = 16 // rows that a tile may touch past the end
	block   = 96 // rows of the feed-forward part that are kept in cache
	group   = 12 // query rows whose scores are kept in cache
)

func (s *scratch) grow(c Config, rows int) {
	if rows <= s.rows {
		return
	}
	s.rows = rows
	d, n := c.Hidden, rows+padding
	f := func(n int) []float32 { return make([]float32, n) }
	s.x, s.res, s.ctx, s.qkv = f(n*d), f(n*d), f(n*d), f(n*3*d)
	s.h, s.hq = f((block+padding)*c.Inner), make([]uint8, (block+padding)*c.Inner)
	s.xq, s.rq = make([]uint8, n*d), make([][2]float32, n)
	wide := (rows + 31) &^ 31
	s.kt, s.score, s.mask, s.inv = f(wide*headSize), f(group*wide), f(wide), f(padding)
	s.ones, s.zeros = f(n), f(max(c.Inner, 3*d))
	for i := range s.ones {
		s.ones[i] = 1
	}
}

// linear computes c = a*w' + bias for rows of a. c is in blocks of 64 columns, cps floats from each other, with rows of ldc.
func (s *scratch) linear(w *weights, rows int, a []float32, codes []uint8, c []float32, ldc, cps int) {
	for r := range rows {
		s.quantize(a[r*w.k:(r+1)*w.k], codes[r*w.k:(r+1)*w.k], &s.rq[r])
	}
	s.multiply(rows, codes, w, c, ldc, cps, s.rq)
}

// forward encodes sequences of token ids, laid end to end without padding; out gets a unit vector for each. The result of a
// sequence does not depend on its neighbours. Sequences have at least one token, and no more than the model has positions.
func (m *model) forward(s *scratch, sequences [][]int32, out [][]float32) {
	t := 0
	for _, q := range sequences {
		t += len(q)
	}
	s.grow(m.Config, t)
	d, stride, eps := m.Hidden, s.rows+padding, float32(m.Epsilon)
	row := 0
	for _, q := range sequences {
		for p, id := range q {
			x, scale := s.x[row*d:(row+1)*d], m.scale[id]
			for i, v := range m.codes[int(id)*d : (int(id)+1)*d] {
				x[i] = float32(v) * scale
			}
			s.addNorm(x, m.positions[p*d:(p+1)*d], m.gain, m.shift, eps)
			row++
		}
	}
	for i := range m.layers {
		l := &m.layers[i]
		s.linear(&l.qkv, t, s.x, s.xq, s.qkv, 64, stride*64)
		start := 0
		for _, q := range sequences { // in order: a tile may write rows past its sequence, which the next one overwrites
			s.attention(m.Heads, d, stride, start, len(q))
			start += len(q)
		}
		s.linear(&l.out, t, s.ctx, s.xq, s.res, d, 64)
		for r := range t {
			s.addNorm(s.x[r*d:(r+1)*d], s.res[r*d:(r+1)*d], l.gain1, l.shift1, eps)
		}
		for from := 0; from < t; from += block {
			rows := min(block, t-from)
			s.linear(&l.up, rows, s.x[from*d:], s.xq, s.h, m.Inner, 64)
			s.gelu(s.h[:rows*m.Inner])
			s.linear(&l.down, rows, s.h, s.hq, s.res, d, 64)
			for r := range rows {
				s.addNorm(s.x[(from+r)*d:(from+r+1)*d], s.res[r*d:(r+1)*d], l.gain2, l.shift2, eps)
			}
		}
	}
	s.pool(d, m.Pooling == poolFirst, sequences, out)
}

// pool gives the mean of each sequence's rows or the first of them, as a unit vector.
func (s *scratch) pool(d int, first bool, sequences [][]int32, out [][]float32) {
	row := 0
	for i, q := range sequences {
		o := out[i]
		clear(o)
		rows := len(q)
		if first {
			rows = 1
		}
		for r := row; r < row+rows; r++ {
			for j, v := range s.x[r*d : (r+1)*d] {
				o[j] += v
			}
		}
		row += len(q)
		var n float64
		for _, v := range o {
			n += float64(v) * float64(v)
		}
		inv := float32(1 / math.Sqrt(max(n, 1e-30)))
		for j := range o {
			o[j] *= inv
		}
	}
}

// attention of one sequence of n rows from start on. qkv is in blocks of 64 columns (two heads) of stride rows each. The
// queries' weights have the factor 1/√32 in them.
func (s *scratch) attention(heads, d, stride, start, n int) {
	wide := (n + 31) &^ 31
	mask := s.mask[:wide]
	clear(mask)
	for i := n; i < wide; i++ {
		mask[i] = -1e30
	}
	at := func(col int) []float32 { return s.qkv[col/64*stride*64+start*64+col%64:] }
	for h := range heads {
		q, k, v := at(h*headSize), at(d+h*headSize), at(2*d+h*headSize)
		s.packKeys(s.kt, k, 64, n)
		for i := 0; i < n; i += group {
			rows := min(group, n-i)
			s.multiplyFloats(rows, q[i*64:], 64, headSize, s.kt, 32, 1024, s.score, wide, 64, wide, mask, s.ones)
			s.softmax(s.score, rows, wide, wide, s.inv)
			s.multiplyFloats(rows, s.score, wide, n, v, 64, 0, s.ctx[(start+i)*d+h*headSize:], d, 64, headSize, s.zeros, s.inv)
		}
	}
}
