package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"vpnd/internal/amount"
	"vpnd/mgmt"
)

const (
	sparkWidth  = 60
	sparkHeight = 10 // to each side of the middle
)

// spark draws rates as a small graph: to the user upwards, from the user downwards. The highest
// rate sets the scale. Without traffic it draws nothing.
func spark(trace []mgmt.Rate) template.HTML {
	highest := 0.0
	for _, r := range trace {
		highest = max(highest, r.Tx, r.Rx)
	}
	if highest < 1 {
		return ""
	}
	tx := sparkPath(trace, func(r mgmt.Rate) int { return -height(r.Tx, highest) })
	rx := sparkPath(trace, func(r mgmt.Rate) int { return height(r.Rx, highest) })
	return template.HTML(fmt.Sprintf(`<svg class="spark" viewBox="0 0 %d %d" role="img" aria-label="at most %s"><path class="tx" d="%s"/><path class="rx" d="%s"/></svg>`, //nolint:gosec // numbers
		sparkWidth, 2*sparkHeight, amount.Rate(highest), tx, rx))
}

func height(rate, highest float64) int { return int(math.Round(rate / highest * sparkHeight)) }

// sparkPath is a staircase of at most 30 steps that ends at the right.
func sparkPath(trace []mgmt.Rate, of func(mgmt.Rate) int) string {
	const step = 2
	d := fmt.Appendf(nil, "M%d %d", max(0, sparkWidth-step*len(trace)), sparkHeight)
	at, run := 0, 0
	for _, r := range trace {
		if y := of(r); y != at {
			d = stairs(d, run, y-at)
			at, run = y, 0
		}
		run += step
	}
	return string(append(stairs(d, run, -at), 'z'))
}

func stairs(d []byte, right, down int) []byte {
	if right > 0 {
		d = strconv.AppendInt(append(d, 'h'), int64(right), 10)
	}
	if down != 0 {
		d = strconv.AppendInt(append(d, 'v'), int64(down), 10)
	}
	return d
}
