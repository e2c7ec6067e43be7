package report

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// column is one column of a table. Flexible columns give way, widest first,
// down to min, when the page is too narrow.
type column struct {
	head  string
	min   int // 0: never cut
	paint func(cell string) string
}

const gap = 1

// writeTable aligns rows of cells, which must be escaped already. The last
// column is not padded.
func writeTable(w io.Writer, st Style, cols []column, rows [][]string) error {
	widths := naturalWidths(cols, rows)
	if st.Width > 0 {
		squeeze(widths, cols, st.Width)
	}
	head := make([]string, len(cols))
	for i, c := range cols {
		head[i] = c.head
	}
	if err := writeRow(w, widths, nil, head, func(s string) string { return st.paint(dim, s) }); err != nil {
		return err
	}
	for _, r := range rows {
		if err := writeRow(w, widths, cols, r, nil); err != nil {
			return err
		}
	}
	return nil
}

func naturalWidths(cols []column, rows [][]string) []int {
	widths := make([]int, len(cols))
	for i, c := range cols {
		widths[i] = runewidth.StringWidth(c.head)
	}
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	return widths
}

func squeeze(widths []int, cols []column, page int) {
	for {
		total := gap * (len(widths) - 1)
		widest := -1
		for i, w := range widths {
			total += w
			if cols[i].min > 0 && w > cols[i].min && (widest < 0 || w-cols[i].min > widths[widest]-cols[widest].min) {
				widest = i
			}
		}
		if total <= page || widest < 0 {
			return
		}
		widths[widest]--
	}
}

func writeRow(w io.Writer, widths []int, cols []column, cells []string, all func(string) string) error {
	var b strings.Builder
	for i, cell := range cells {
		text := fit(cell, widths[i])
		if i == len(cells)-1 {
			text = strings.TrimRight(text, " ")
		}
		switch {
		case all != nil:
			text = all(text)
		case cols[i].paint != nil:
			text = cols[i].paint(text)
		}
		b.WriteString(text)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", gap))
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
