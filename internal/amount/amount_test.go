package amount_test

import (
	"math"
	"testing"
	"time"
	"vpnd/internal/amount"
)

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "1.00 kB", 1024: "1.02 kB", 1500: "1.50 kB", 9994: "9.99 kB", 9995: "10.0 kB", 99_949: "99.9 kB", 99_950: "100 kB",
		999_499: "999 kB", 999_500: "1.00 MB", 50_000_000_000: "50.0 GB", math.MaxUint64: "18.4 EB",
	} {
		if got := amount.Bytes(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for bps, want := range map[float64]string{0: "0 bps", 0.4: "0 bps", 999.4: "999 bps", 999.5: "1.00 kbps", 1_500_000: "1.50 Mbps", 2.5e12: "2.50 Tbps"} {
		if got := amount.Rate(bps); got != want {
			t.Errorf("%v are %q, want %q", bps, got, want)
		}
	}
}

func TestUptime(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0:00:00", 61: "0:01:01", 3600: "1:00:00", 360_000: "100:00:00"} {
		if got := amount.Uptime(seconds); got != want {
			t.Errorf("%d seconds are %q, want %q", seconds, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Minute: "1h30m", 8 * time.Hour: "8h", 10 * time.Second: "10s", 20 * time.Minute: "20m", time.Hour + time.Second: "1h0m1s"} {
		if got := amount.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
