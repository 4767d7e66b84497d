package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units of sizes and rates: those with an i are powers of 1024, the others of 1000.
var units = map[string]float64{
	"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
	"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}

// parseSize reads a number of bytes such as 500k, 10M, 10MiB or 1.5GiB; "" is 0.
func parseSize(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	num := strings.TrimRight(s, "kKmMgGtTiIbB/s ")
	unit := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s[len(num):]), "/s"))
	mult, ok := units[strings.TrimSuffix(unit, "b")]
	v, err := strconv.ParseFloat(num, 64)
	if err != nil || !ok || strings.Trim(num, "0123456789.") != "" || v*mult > math.MaxInt64/2 {
		return 0, fail(exitUsage, "--%s %s: want a number with a unit, such as 500k or 10MiB", flag, s)
	}
	return int64(v * mult), nil
}

// size prints bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// span is a flag's length of time: 90s, 5m, 1h30m, or a plain number of seconds.
type span struct{ time.Duration }

// Set implements pflag.Value.
func (d *span) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		var n int64
		if n, err = strconv.ParseInt(s, 10, 32); err == nil {
			v = time.Duration(n) * time.Second
		}
	}
	if err != nil || v < 0 {
		return fmt.Errorf("want a length of time, such as 90s, 5m or 1h30m")
	}
	d.Duration = v
	return nil
}

// Type implements pflag.Value.
func (d *span) Type() string { return "DURATION" }

// String implements pflag.Value.
func (d *span) String() string {
	if d.Duration == 0 {
		return "" // no default worth showing
	}
	return d.Duration.String()
}
