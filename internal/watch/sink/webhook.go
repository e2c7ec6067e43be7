package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// webhook posts each notice as one JSON object.
type webhook struct{ post *poster }

func newWebhook(c *Config, place *Place) (*webhook, error) {
	p, err := newPoster(c, place)
	return &webhook{p}, err
}

func (w *webhook) encode(n *Notice) ([]byte, error) { return n.Line() }

func (w *webhook) batch() (int, time.Duration) { return 1, 0 }

func (w *webhook) deliver(ctx context.Context, list []record, lost uint64) outcome {
	extra := map[string]string{"Idempotency-Key": list[0].ID}
	if lost > 0 {
		extra["Portreeve-Dropped"] = strconv.FormatUint(lost, 10)
	}
	_, out := w.post.send(ctx, list[0].Body, extra)
	return out
}

// poster sends JSON by HTTP.
type poster struct {
	url     string
	client  *http.Client
	timeout time.Duration
	headers map[string]string
	files   map[string]string
	now     func() time.Time
}

const (
	defaultTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer, maxSaid what is quoted.
	maxAnswer = 64 << 10
	maxSaid   = 200
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = time.Hour
	maxSecret     = 16 << 10
)

func newPoster(c *Config, place *Place) (*poster, error) {
	cfg, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		TLSClientConfig: cfg, DialContext: (&net.Dialer{Timeout: defaultTimeout}).DialContext, ForceAttemptHTTP2: true,
		MaxIdleConns: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: defaultTimeout,
		MaxResponseHeaderBytes: maxAnswer, DisableCompression: true,
	}
	if c.Proxy != "" {
		proxy, err := url.Parse(c.Proxy)
		if err != nil {
			return nil, wrong("proxy", "%v", err)
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	p := &poster{url: c.URL, headers: c.Headers, files: c.HeaderFiles, timeout: c.Timeout, now: place.Now}
	if p.timeout == 0 {
		p.timeout = defaultTimeout
	}
	// Where a redirect leads is not what was configured: it might be without
	// encryption, or another's. It is told instead.
	p.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return p, nil
}

// tlsConfig trusts the given authorities alone, else the system's.
func tlsConfig(c *Config) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, wrong("ca", "%v", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, wrong("ca", "there is no PEM certificate in %s", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, wrong("cert", "%v", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// send posts a body and judges the answer. reply is its beginning.
func (p *poster) send(ctx context.Context, body []byte, extra map[string]string) (reply []byte, out outcome) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, outcome{err: fmt.Errorf("post: %w", err)}
	}
	// What must not be sent twice is never repeated by the transport; the
	// receiver gets the key with each try.
	req.GetBody = nil
	if err := p.header(req, extra); err != nil {
		return nil, outcome{err: err}
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, outcome{err: p.failure(err)}
	}
	defer resp.Body.Close()
	reply, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return reply, p.judge(resp, reply, err)
}

// failure says what went wrong without repeating the method and the URL twice.
func (p *poster) failure(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return fmt.Errorf("post to %s: no answer within %s", p.shown(), p.timeout)
		}
		err = u.Err
	}
	return fmt.Errorf("post to %s: %w", p.shown(), err)
}

// shown is the URL without its query, in which there may be a secret.
func (p *poster) shown() string {
	plain, _, _ := strings.Cut(p.url, "?")
	return plain
}

func (p *poster) header(req *http.Request, extra map[string]string) error {
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "portreeve")
	for k, v := range p.headers {
		req.Header.Set(k, v)
	}
	for k, path := range p.files {
		v, err := secret(path)
		if err != nil {
			return fmt.Errorf("read header %s: %w", k, err)
		}
		req.Header.Set(k, v)
	}
	for k, v := range extra {
		req.Header.Set(k, v)
	}
	return nil
}

// secret is a file's one line. Its text is in no error.
func secret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	v := strings.TrimSpace(string(b))
	switch {
	case v == "":
		return "", fmt.Errorf("%s is empty", path)
	case len(b) > maxSecret:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	case !headerValue(v):
		return "", fmt.Errorf("%s has more than one line, or control characters", path)
	}
	return v, nil
}

// judge: 2xx is taken, also when the answer's rest was cut; 408, 429, 3xx and
// 5xx may be better later; any other 4xx never will.
func (p *poster) judge(resp *http.Response, reply []byte, cut error) outcome {
	code := resp.StatusCode
	what := fmt.Errorf("post to %s: answer %d %s%s", p.shown(), code, http.StatusText(code), said(reply))
	switch {
	case code/100 == 2:
		return outcome{}
	case code/100 == 3:
		return outcome{err: fmt.Errorf("post to %s: answer %d sends to %q; write that as url if it is right", p.shown(), code, resp.Header.Get("Location"))}
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return outcome{err: what, forGood: true}
	case cut != nil:
		what = fmt.Errorf("%w (%v)", what, cut)
	}
	return outcome{err: what, after: retryAfter(resp.Header.Get("Retry-After"), p.now())}
}

func said(reply []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(reply), "?")), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" %q", text)
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
