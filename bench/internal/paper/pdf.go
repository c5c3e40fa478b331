package paper

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// PDF makes a document of pages full of text, 44 lines each, and with a raw picture of some bytes on its first page.
func PDF(seed uint64, pages, picture int) []byte {
	var b bytes.Buffer
	var at []int
	object := func(dict, stream string) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\n", len(at), dict)
		if stream != "" {
			fmt.Fprintf(&b, "stream\n%s\nendstream\n", stream)
		}
		b.WriteString("endobj\n")
	}
	b.WriteString("%PDF-1.4\n")
	kids := make([]string, pages)
	for i := range kids {
		kids[i] = fmt.Sprintf("%d 0 R", 5+2*i)
	}
	side := max(1, picture/3/500)
	data := make([]byte, 3*500*side)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(data)
	object("<</Type/Catalog/Pages 2 0 R>>", "")
	object(fmt.Sprintf("<</Type/Pages/Count %d/Kids[%s]>>", pages, strings.Join(kids, " ")), "")
	object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", "")
	object(fmt.Sprintf("<</Type/XObject/Subtype/Image/Width 500/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8/Length %d>>", side, len(data)), string(data))
	lines := strings.Fields(Prose(seed, pages*44*80+80))
	for i := range pages {
		var c strings.Builder
		if i == 0 && picture > 0 {
			c.WriteString("q 100 0 0 40 450 750 cm /I Do Q ")
		}
		c.WriteString("BT /F 10 Tf 12 TL 60 760 Td ")
		for range 44 {
			line := ""
			for len(line) < 70 && len(lines) > 0 {
				line += lines[0] + " "
				lines = lines[1:]
			}
			fmt.Fprintf(&c, "(%s) Tj T*\n", strings.TrimSpace(line))
		}
		c.WriteString("ET")
		object(fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 842]/Contents %d 0 R/Resources<</Font<</F 3 0 R>>/XObject<</I 4 0 R>>>>>>", len(at)+2), "")
		object(fmt.Sprintf("<</Length %d>>", c.Len()), c.String())
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return b.Bytes()
}
