package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// call makes one HTTP request and decodes a JSON answer into out, if there is an out.
func call(ctx context.Context, method, url string, header http.Header, body []byte, out any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, err
	}
	if resp.StatusCode != http.StatusOK {
		return resp, fmt.Errorf("%s: %s: %.200s", url, resp.Status, b)
	}
	if out == nil {
		return resp, nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return resp, fmt.Errorf("%s: %w: %.200s", url, err, b)
	}
	return resp, nil
}
