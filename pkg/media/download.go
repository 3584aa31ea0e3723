package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Causes with which a download is cancelled.
var (
	errTotalTimeout = errors.New("total time is up")
	errTooSlow      = errors.New("below the least pace")
)

// download is the content of one URL, found to be of the wanted kind. Reading
// it fails with a [*FetchError] only; io.EOF means that the content is complete.
type download struct {
	io.Reader
	contentType string
	close       func()
}

// attempt is one URL on its way to a download.
type attempt struct {
	fetcher *Fetcher
	source  string // redacted, for errors
	at      string // redacted: where redirects have led
	moved   func(int)
}

// open requests one URL and reads as much as tells the content's kind. Every
// error is a [*FetchError]; when ctx is done its reason means nothing.
func (f *Fetcher) open(ctx context.Context, raw string, kind Kind, moved func(int)) (*download, error) {
	a := &attempt{fetcher: f, source: redactRaw(raw), moved: moved}
	u, err := parseSource(raw)
	if err != nil {
		return nil, a.fail(ReasonBadURL, err.Error())
	}
	ctx, stopClock := context.WithTimeoutCause(ctx, f.options.TotalTimeout, errTotalTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := a.follow(ctx, u)
	if err != nil {
		cancel(nil)
		stopClock()
		return nil, err
	}
	closeAll := func() {
		cancel(nil)
		_ = resp.Body.Close()
		stopClock()
	}
	d, err := a.accept(ctx, resp, kind, cancel)
	if err != nil {
		closeAll()
		return nil, err
	}
	d.close = closeAll
	return d, nil
}

// follow requests u and whatever it redirects to, and returns the first answer
// that is no redirect.
func (a *attempt) follow(ctx context.Context, u *url.URL) (*http.Response, error) {
	for hop := 0; ; hop++ {
		a.at = redact(u)
		if !a.fetcher.hosts.holds(u.Hostname()) {
			return nil, a.fail(ReasonRefusedAddress, "not among the media hosts: "+clip(u.Hostname()))
		}
		a.moved(0) // a new request is a sign of life
		resp, err := a.get(ctx, u)
		if err != nil {
			return nil, a.fail(Classify(ctx, err))
		}
		if !isRedirect(resp.StatusCode) {
			return resp, nil
		}
		next, err := redirectTarget(u, resp.Header.Get("Location"))
		_ = resp.Body.Close() // not read: its content is nobody's
		switch {
		case err != nil:
			return nil, a.fail(ReasonRedirect, err.Error())
		case hop == maxRedirects:
			return nil, a.fail(ReasonRedirect, fmt.Sprintf("more than %d", maxRedirects))
		}
		u = next
	}
}

// get sends one request past http.Client, which would follow redirects, name
// the previous URL with its query in a Referer, and put URLs into its errors.
func (a *attempt) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("request cannot be built")
	}
	req.Header.Set("User-Agent", a.fetcher.options.UserAgent)
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Accept-Encoding", "identity")
	return a.fetcher.transport.RoundTrip(req)
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func redirectTarget(from *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("without a location")
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, errors.New("to something that is no URL")
	}
	if err := checkSource(to); err != nil {
		return nil, fmt.Errorf("to %s: %w", redact(to), err)
	}
	if from.Scheme == "https" && to.Scheme != "https" {
		return nil, fmt.Errorf("from https to %s", redact(to))
	}
	return to, nil
}

// accept judges an answer by its header and the beginning of its content.
func (a *attempt) accept(
	ctx context.Context, resp *http.Response, kind Kind, cancel context.CancelCauseFunc,
) (*download, error) {
	options := a.fetcher.options
	if resp.StatusCode != http.StatusOK {
		return nil, a.failStatus(resp)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, a.fail(ReasonWrongType, "content is encoded although identity was asked for")
	}
	if resp.ContentLength > options.MaxBytes {
		return nil, a.fail(ReasonTooLarge, fmt.Sprintf("%d bytes, over %d", resp.ContentLength, options.MaxBytes))
	}
	body := &content{
		attempt: a,
		ctx:     ctx,
		paced:   newPaced(resp.Body, options.SlowWindow, options.MinBytesPerSecond, func() { cancel(errTooSlow) }),
		left:    options.MaxBytes,
	}
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(body, head)
	switch {
	case errors.Is(err, io.EOF):
		return nil, a.fail(ReasonEmpty, "")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	}
	head = head[:n]
	mime := contentType(head)
	if !isKind(mime, kind) {
		return nil, a.fail(ReasonWrongType, fmt.Sprintf("%s, wanted %s", mime, kind))
	}
	return &download{Reader: io.MultiReader(bytes.NewReader(head), body), contentType: mime}, nil
}
