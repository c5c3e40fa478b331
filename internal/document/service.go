package document

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"byline/internal/blob"
	"byline/internal/engine/extract"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// Limits of what may be uploaded.
type Limits struct {
	Bytes      int64    // of one file
	Extensions []string // lower case, without the dot; nil: all that have an extractor
}

// Service takes documents in. It is safe for concurrent use.
type Service struct {
	Store
	blobs  blob.Store
	limits Limits
}

// New makes a service.
func New(store Store, blobs blob.Store, limits Limits) *Service {
	return &Service{Store: store, blobs: blobs, limits: limits}
}

// Upload is a file on its way in.
type Upload struct {
	Workspace   ident.Workspace
	Filename    string // the client's
	ContentType string // the client's; it is checked, not believed
	Bytes       io.Reader
	Process     bool
	Force       bool // a new document although these bytes are there
	Once        *ident.Once

	Origin    Origin // "" is FromUpload
	SourceURL string
	FetchedAt time.Time
	Found     *runs.Lease // of the run that found it: FromWeb
}

// headSize is how much of a file its type is told from, in bytes.
const headSize = 8 << 10

// Take streams a file to its blob while it hashes it, then adds the document. The bytes never rest in memory.
// When it fails nothing is left. added is false for bytes that the workspace had, and for a repeated Once.
func (s *Service) Take(ctx context.Context, u Upload) (doc Document, added bool, err error) {
	name := extract.SafeName(u.Filename)
	head, err := readHead(u.Bytes)
	if err != nil {
		return Document{}, false, err
	}
	if len(head) == 0 {
		return Document{}, false, fault.Bad("file", "empty_file", "%q is empty. Upload a file with content.", name)
	}
	format, err := extract.Sniff(name, head, u.ContentType)
	if err != nil {
		return Document{}, false, err
	}
	if err := s.admit(name); err != nil {
		return Document{}, false, err
	}
	staged, err := s.blobs.Stage(ctx)
	if err != nil {
		return Document{}, false, err
	}
	defer func() {
		if e := staged.Discard(); err == nil {
			err = e
		}
	}()
	size, sum, err := s.copy(ctx, staged, head, u.Bytes)
	if err != nil {
		return Document{}, false, err
	}
	if u.Once != nil && u.SourceURL == "" { // what is at an address may change between two requests for it
		u.Once = &ident.Once{Key: u.Once.Key, Fingerprint: u.Once.Fingerprint + ":" + sum}
	}
	if err := staged.Commit(ctx); err != nil {
		return Document{}, false, err
	}
	now := time.Now()
	d := Document{
		ID: ident.New(), Workspace: u.Workspace, Filename: name, Type: string(format), Size: size, SHA256: sum,
		Origin: cmp.Or(u.Origin, FromUpload), SourceURL: u.SourceURL, FetchedAt: u.FetchedAt,
		Blob: staged.Key(), Status: Pending, Stage: Stored, CreatedAt: now, UpdatedAt: now,
	}
	if u.Found != nil {
		doc, added, err = s.AddFound(ctx, *u.Found, d)
	} else {
		doc, added, err = s.Add(ctx, d, u.Process, u.Force, u.Once)
	}
	if err != nil || !added {
		// A blob that stays behind here is unknown to every document: the sweep at the next start takes it.
		err = errors.Join(err, s.blobs.Delete(context.WithoutCancel(ctx), d.Blob))
	}
	return doc, added, err
}

func (s *Service) admit(name string) error {
	dot := strings.LastIndexByte(name, '.')
	if s.limits.Extensions == nil || dot >= 0 && slices.Contains(s.limits.Extensions, strings.ToLower(name[dot+1:])) {
		return nil
	}
	return fault.New(fault.Unsupported, "extension_not_allowed", "%q is not among the kinds of files that this installation takes: %s (ALLOWED_EXTENSIONS).",
		name, strings.Join(s.limits.Extensions, ", "))
}

func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, broken(err)
	}
	return head[:n], nil
}

func (s *Service) copy(ctx context.Context, to io.Writer, head []byte, rest io.Reader) (size int64, sum string, err error) {
	h := sha256.New()
	w := io.MultiWriter(to, h)
	if _, err := w.Write(head); err != nil {
		return 0, "", err
	}
	buf := make([]byte, 64<<10)
	size = int64(len(head))
	for {
		if err := ctx.Err(); err != nil {
			return 0, "", err
		}
		n, err := rest.Read(buf)
		size += int64(n)
		if size > s.limits.Bytes {
			return 0, "", TooLarge(s.limits.Bytes)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return 0, "", err
		}
		if errors.Is(err, io.EOF) {
			return size, hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return 0, "", broken(err)
		}
	}
}

// TooLarge is the refusal of a file over the limit, in bytes.
func TooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "file_too_large", "The file is over the limit of %s (MAX_UPLOAD_SIZE).", size(limit))
}

// broken names an upload that ended early; a fault of the reader (a limit of the face) stays what it is.
func broken(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Malformed, "upload_broken", "The upload ended before the file was whole. Nothing was kept; send it again.").Because(err)
}

// Open gives the document's own bytes.
func (s *Service) Open(ctx context.Context, ws ident.Workspace, id string) (Document, blob.File, error) {
	d, err := s.Document(ctx, ws, id)
	if err != nil {
		return d, nil, err
	}
	f, err := s.blobs.Open(ctx, d.Blob)
	return d, f, err
}

// Boxes gives, for each of the passages of a document, the rectangles that it covers on its pages: one a line of words.
func (s *Service) Boxes(ctx context.Context, ws ident.Workspace, id string, passages []Passage) ([][]Box, error) {
	boxes := make([][]Box, len(passages))
	var page extract.Page // passages follow each other, and so do their pages
	for i, p := range passages {
		for n := p.PageFrom; n > 0 && n <= p.PageTo; n++ {
			if page.Number != n {
				var err error
				if page, err = s.Page(ctx, ws, id, n); err != nil {
					return nil, err
				}
			}
			boxes[i] = appendBoxes(boxes[i], page, p.Start, p.End)
		}
	}
	return boxes, nil
}

// appendBoxes adds the rectangles of a byte range of the text on one page.
func appendBoxes(boxes []Box, page extract.Page, start, end int) []Box {
	first := len(boxes)
	for _, w := range page.Words {
		if w.End <= start || w.Start >= end {
			continue
		}
		if n := len(boxes); n > first && sameLine(boxes[n-1], w) {
			line := &boxes[n-1]
			line.X0, line.X1 = min(line.X0, w.X0), max(line.X1, w.X1)
			line.Y0, line.Y1 = min(line.Y0, w.Y0), max(line.Y1, w.Y1)
			continue
		}
		boxes = append(boxes, Box{Page: page.Number, X0: w.X0, Y0: w.Y0, X1: w.X1, Y1: w.Y1})
	}
	return boxes
}

// sameLine tells whether the word goes on the line: it overlaps its height by half and stands to its right.
func sameLine(line Box, w extract.Word) bool {
	common := min(line.Y1, w.Y1) - max(line.Y0, w.Y0)
	return common > (w.Y1-w.Y0)/2 && w.X0 >= line.X0
}

// size is a number of bytes as people write MAX_UPLOAD_SIZE: MB is 1000².
func size(bytes int64) string {
	if bytes < 1e6 {
		return fmt.Sprintf("%.3g KB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.5g MB", float64(bytes)/1e6)
}
