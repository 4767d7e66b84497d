//go:build !unix

package transport

import "time"

// cpu is not measured here.
func cpu() time.Duration { return 0 }
