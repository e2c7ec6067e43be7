package closing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// docker speaks to the Docker engine over its socket (Docker Engine API; the
// unversioned paths are answered by every engine).
type docker struct{ socket string }

// Bounds of one answer. A container has ten seconds to stop by default.
const (
	mostDocker = 32 << 20
	dockerTime = 60 * time.Second
)

// errNoContainer is dockerd's 404: it has no such container.
var errNoContainer = errors.New("dockerd: 404 Not Found")

// call asks once; out may be nil. 304 ("so already") is success.
func (d docker) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, dockerTime)
	defer cancel()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.socket)
	}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask dockerd at %s: %w", d.socket, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostDocker))
	if err != nil {
		return fmt.Errorf("ask dockerd at %s: %w", d.socket, err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %s", errNoContainer, bytes.TrimSpace(text[:min(len(text), 500)]))
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("dockerd: %s: %s", resp.Status, bytes.TrimSpace(text[:min(len(text), 500)]))
	}
	if out == nil || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("dockerd's answer: %w", err)
	}
	return nil
}
