package pdf

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"

	"byline/internal/fault"
)

// MaxPixels is the most that a page image may have.
const MaxPixels = 40_000_000

// Render draws a page, counted from 1, as PNG at dpi dots per inch.
func (l *Library) Render(ctx context.Context, src io.ReadSeeker, size int64, page, dpi int) (_ []byte, err error) {
	d, err := l.open(ctx, src, size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if page < 1 || page > d.pages {
		return nil, ErrNoPage
	}
	img, err := d.draw(page, dpi)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&b, img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// What is drawn: annotations too, and bytes in the order red, green, blue.
const drawFlags = 0x01 | 0x10

func (d *document) draw(n, dpi int) (image.Image, error) {
	page := d.call("FPDF_LoadPage", d.handle, uint64(n-1))
	if page == 0 {
		return nil, ErrBroken.Because(d.err)
	}
	scale := float64(dpi) / 72
	w := float64(d.float("FPDF_GetPageWidthF", page)) * scale
	h := float64(d.float("FPDF_GetPageHeightF", page)) * scale
	if !(w >= 1 && h >= 1) || w*h > MaxPixels {
		return nil, fault.New(fault.Invalid, "page_too_large", "At %d dpi this page is larger than %d megapixels. Ask for fewer dpi.", dpi, MaxPixels/1_000_000)
	}
	width, height := int(w+0.5), int(h+0.5)
	bitmap := d.call("FPDFBitmap_Create", uint64(width), uint64(height), 0)
	d.call("FPDFBitmap_FillRect", bitmap, 0, 0, uint64(width), uint64(height), 0xFFFFFFFF)
	d.call("FPDF_RenderPageBitmap", bitmap, page, 0, 0, uint64(width), uint64(height), 0, drawFlags)
	stride := int(d.call("FPDFBitmap_GetStride", bitmap))
	buffer := d.call("FPDFBitmap_GetBuffer", bitmap)
	if d.err != nil {
		return nil, d.trapped(d.err)
	}
	pixels, ok := d.mem.Read(uint32(buffer), uint32(stride*height))
	if bitmap == 0 || !ok {
		return nil, ErrMemory
	}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		row := img.Pix[y*img.Stride : y*img.Stride+4*width]
		copy(row, pixels[y*stride:])
		for x := 3; x < len(row); x += 4 {
			row[x] = 0xFF // the fourth byte means nothing in a bitmap without transparency
		}
	}
	return img, nil
}
