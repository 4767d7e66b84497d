package storage

import "fmt"

// DumpState lists the records of a state file.
func DumpState(b []byte) (out []string) {
	if len(b) < len(stateHeader) {
		return nil
	}
	d := scanRecords(b[len(stateHeader):], func(k recordKind, p []byte) {
		out = append(out, fmt.Sprintf("%d:%q", k, p))
	})
	return append(out, fmt.Sprint(d))
}
